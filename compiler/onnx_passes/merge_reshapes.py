"""Makes one Reshape of two views in a row."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    add_constant,
    constant_array,
    is_onnx,
    new_node,
    replace_nodes,
    sole_user,
    static_shape,
)

__all__ = ["MergeReshapes"]

_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


class MergeReshapes(ir.passes.InPlacePass):
    """Composes views that keep the order of the elements.

    Case 1: a ``Reshape``, ``Flatten``, ``Squeeze`` or ``Unsqueeze`` of the result of another, which
        is used once, becomes one ``Reshape`` to the last shape.
    Case 2: a ``Reshape`` whose constant shape has 0 or -1 gets the extents written out.

    Where nothing is left to change, ``DropNoOp`` removes the result.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merge the pairs of the main graph."""
        modified = False
        for outer in list(model.graph):
            if not is_onnx(outer, *_VIEWS) or outer.inputs[0] is None:
                continue
            source, shape = outer.inputs[0], static_shape(outer.outputs[0])
            if shape is None or static_shape(source) is None:
                continue
            nodes = [outer]
            inner = source.producer()
            first = inner.inputs[0] if inner is not None and is_onnx(inner, *_VIEWS) else None
            if inner is not None and first is not None and sole_user(source) is outer:
                nodes, source = [inner, outer], first
            if len(nodes) == 2 or _is_implicit(outer):
                _replace(model.graph, nodes, source, shape)
                modified = True
        return ir.passes.PassResult(model, modified)


def _is_implicit(node: ir.Node) -> bool:
    shape = constant_array(node.inputs[1]) if is_onnx(node, "Reshape") else None
    return (
        shape is not None
        and bool(np.any(np.asarray(shape, np.int64) < 1))
        and 0 not in (static_shape(node.outputs[0]) or ())
    )


def _replace(
    graph: ir.Graph, nodes: list[ir.Node], source: ir.Value, shape: tuple[int, ...]
) -> None:
    old = nodes[-1].outputs[0]
    target = add_constant(graph, f"{old.name}/shape", np.array(shape, np.int64))
    merged = new_node("Reshape", [source, target], name=nodes[-1].name or "", like=old)
    replace_nodes(graph, nodes, [merged], old, merged.outputs[0])
