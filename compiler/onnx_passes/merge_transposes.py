"""Makes one Transpose of two in a row."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_ints,
    is_onnx,
    new_node,
    replace_nodes,
    sole_user,
)

__all__ = ["MergeTransposes"]


class MergeTransposes(ir.passes.InPlacePass):
    """Composes chains of transpositions.

    Case 1: ``Transpose(Transpose(x))``, the inner one used once, becomes one ``Transpose``.

    Where the result keeps every axis in place, ``DropNoOp`` removes it.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merge the pairs of the main graph."""
        modified = False
        for outer in list(model.graph):
            inner = _inner(outer)
            if inner is None:
                continue
            rank = len(inner.outputs[0].shape or ())
            backwards = range(rank - 1, -1, -1)
            first = attribute_ints(inner, "perm", backwards)
            second = attribute_ints(outer, "perm", backwards)
            perm = ir.Attr("perm", ir.AttributeType.INTS, [first[axis] for axis in second])
            merged = new_node(
                "Transpose",
                [inner.inputs[0]],
                name=outer.name or "",
                like=outer.outputs[0],
                attributes=[perm],
            )
            old, new = outer.outputs[0], merged.outputs[0]
            replace_nodes(model.graph, [inner, outer], [merged], old, new)
            modified = True
        return ir.passes.PassResult(model, modified)


def _inner(outer: ir.Node) -> ir.Node | None:
    if not is_onnx(outer, "Transpose") or outer.inputs[0] is None:
        return None
    inner = outer.inputs[0].producer()
    if inner is None or not is_onnx(inner, "Transpose") or inner.outputs[0].shape is None:
        return None
    return inner if sole_user(inner.outputs[0]) is outer else None
