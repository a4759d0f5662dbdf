"""Writes reductions over no axes as what they leave: an element-wise operator."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    constant_array,
    new_node,
    replace_nodes,
)

__all__ = ["RewriteEmptyReductions"]

_LEFT = {
    "ReduceL1": "Abs",
    "ReduceL2": "Abs",
    "ReduceLogSum": "Log",
    "ReduceLogSumExp": "Identity",
    "ReduceMax": "Identity",
    "ReduceMean": "Identity",
    "ReduceMin": "Identity",
    "ReduceProd": "Identity",
    "ReduceSum": "Identity",
    "ReduceSumSquare": "Mul",
}


class RewriteEmptyReductions(ir.passes.InPlacePass):
    """Handles ``noop_with_empty_axes``: the reduction's function still applies to each element.

    Case 1: ``ReduceL1``, ``ReduceL2`` over no axes become ``Abs``; ``ReduceLogSum`` ``Log``;
        ``ReduceSumSquare`` ``Mul`` of the input with itself.
    Case 2: the other reductions over no axes become ``Identity``.

    TVM's importer hands the input on unchanged in both cases.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            if node.domain != "" or node.op_type not in _LEFT:
                continue
            axes = node.inputs[1] if len(node.inputs) > 1 else None
            array = constant_array(axes)
            if not attribute_int(node, "noop_with_empty_axes", 0) or not (
                axes is None or (array is not None and array.size == 0)
            ):
                continue
            op_type, source = _LEFT[node.op_type], node.inputs[0]
            inputs = [source, source] if op_type == "Mul" else [source]
            old = node.outputs[0]
            left = new_node(op_type, inputs, name=node.name or "", like=old)
            replace_nodes(graph, [node], [left], old, left.outputs[0])
            modified = True
        return ir.passes.PassResult(model, modified)
