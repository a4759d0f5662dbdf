"""Folds batch norm after a concatenation into the branches."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.affine import Affine, chain_after
from edgewright.compiler.onnx_passes.foldable import Folding, fold_after
from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    is_onnx,
    new_node,
    replace_nodes,
    sole_user,
    static_shape,
)

__all__ = ["FoldBatchNormOfConcat"]


class FoldBatchNormOfConcat(ir.passes.InPlacePass):
    """Splits a scale and shift of a concatenation into one for each branch.

    Case 1: along the axis of the ``Concat``: each branch takes its part of the scale and shift.
    Case 2: along another axis: each branch takes all of it.

    Only where every branch is a convolution or matrix product that can fold it and that nothing
    else reads, or again such a ``Concat``; else untouched, for a split would only add nodes.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            if not is_onnx(node, "Concat"):
                continue
            chain = chain_after(node.outputs[0])
            foldings = None if chain is None else _plan(node, chain.affine)
            if chain is None or foldings is None:
                continue
            for folding in foldings:
                _fold_branch(graph, folding)
            concat = new_node(
                "Concat",
                node.inputs,
                name=node.name or "",
                like=chain.output,
                attributes=node.attributes.values(),
            )
            replace_nodes(graph, [node, *chain.nodes], [concat], chain.output, concat.outputs[0])
            modified = True
        return ir.passes.PassResult(model, modified)


def _plan(concat: ir.Node, affine: Affine) -> list[Folding] | None:
    """What to fold into each branch, nested ones included; None if one of them cannot."""
    shape = static_shape(concat.outputs[0])
    if shape is None:
        return None
    axis = attribute_int(concat, "axis", 0) % len(shape)
    foldings: list[Folding] = []
    start = 0
    for value in concat.inputs:
        extents = static_shape(value)
        if value is None or extents is None or sole_user(value) is not concat:
            return None
        part = _part(affine, axis, start, extents[axis])
        start += extents[axis]
        producer = value.producer()
        if producer is not None and is_onnx(producer, "Concat"):
            nested = _plan(producer, part)
            if nested is None:
                return None
            foldings.extend(nested)
            continue
        folding = fold_after(producer, part)
        if folding is None:
            return None
        foldings.append(folding)
    return foldings


def _part(affine: Affine, axis: int, start: int, extent: int) -> Affine:
    if affine.axis != axis:
        return affine
    stop = start + extent
    size = max(affine.scale.size, affine.shift.size)
    scale, shift = np.broadcast_to(affine.scale, size), np.broadcast_to(affine.shift, size)
    return Affine(axis, scale[start:stop], shift[start:stop])


def _fold_branch(graph: ir.Graph, folding: Folding) -> None:
    old = folding.node.outputs[0]
    written = folding.write(graph)
    result = written[-1].outputs[0]
    # The tensor of the old name is computed no more: the layer-wise comparison must not find it.
    old.name = f"{old.name}/normalized"
    replace_nodes(graph, [folding.node], written, old, result)
