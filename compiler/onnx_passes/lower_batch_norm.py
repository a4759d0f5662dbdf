"""Writes batch norm that could not be folded as a multiplication and an addition."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.affine import chain_from, match_affine, write_affine
from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_float,
    attribute_int,
    is_onnx,
    replace_nodes,
    static_shape,
)

__all__ = ["LowerBatchNorm"]


class LowerBatchNorm(ir.passes.InPlacePass):
    """Leaves no ``BatchNormalization`` for inference in the model.

    Case 1: constant parameters: the batch norm, with the scales and shifts that follow it, becomes
        ``Mul`` and ``Add`` with constants of shape (C, 1, …), computed in float64.
    Case 2: computed parameters: ``Sub``, ``Div``, ``Mul``, ``Add`` of the reshaped parameters.

    A batch norm in training mode, or with computed parameters of another type, is left untouched,
    and refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lower in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            if node.graph is not graph or not is_onnx(node, "BatchNormalization"):
                continue
            if attribute_int(node, "training_mode", 0) or len(node.outputs) != 1:
                continue
            shape = static_shape(node.inputs[0])
            if shape is None or len(shape) < 2 or node.inputs[0] is None:
                continue
            if match_affine(node) is not None:
                _lower_constant(graph, node)
            elif len({value.dtype for value in node.inputs if value is not None}) == 1:
                _lower_computed(graph, node)
            else:
                continue
            modified = True
        return ir.passes.PassResult(model, modified)


def _lower_constant(graph: ir.Graph, node: ir.Node) -> None:
    chain = chain_from(node)
    affine = match_affine(node)
    assert chain is not None and affine is not None
    nodes = [node]
    if chain.affine.is_finite:
        nodes, affine = list(chain.nodes), chain.affine
    written = write_affine(graph, chain.source, affine, node.name or "")
    replace_nodes(graph, nodes, written, nodes[-1].outputs[0], written[-1].outputs[0])


def _lower_computed(graph: ir.Graph, node: ir.Node) -> None:
    source = node.inputs[0]
    full = static_shape(source)
    dtype = node.outputs[0].dtype
    assert full is not None and dtype is not None
    column_shape = (full[1], *[1] * (len(full) - 2))
    rewrite = Rewrite(graph, node)
    column = rewrite.constant("column", np.array(column_shape, np.int64))
    epsilon = np.array(attribute_float(node, "epsilon", 1e-5), dtype.numpy())
    scale, bias, mean, variance = (
        rewrite.emit("Reshape", node.inputs[index], column, stem=stem, shape=column_shape)
        for index, stem in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    offset = rewrite.constant("epsilon", epsilon)
    guarded = rewrite.emit("Add", variance, offset, stem="guarded", shape=column_shape)
    deviation = rewrite.emit("Sqrt", guarded, stem="deviation", shape=column_shape)
    centred = rewrite.emit("Sub", source, mean, stem="centred")
    divided = rewrite.emit("Div", centred, deviation, stem="divided")
    scaled = rewrite.emit("Mul", divided, scale, stem="scaled")
    rewrite.finish(rewrite.emit("Add", scaled, bias, stem="shifted"))
