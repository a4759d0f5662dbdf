"""Removes nodes that hand their input on."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import constant_array, drop_node, is_onnx

__all__ = ["DropIdentity"]


class DropIdentity(ir.passes.InPlacePass):
    """Removes copies.

    Case 1: ``Identity``.
    Case 2: ``Dropout`` for inference: without a training mode, or with a constant false one, and
        whose mask nobody reads.
    Case 3: ``Sum``, ``Max``, ``Min``, ``Mean`` and ``Concat`` of one input.

    A copy of an input or a constant to an output of the graph stays: ONNX needs it for the name.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Remove the copies of the main graph."""
        modified = False
        for node in list(model.graph):
            source = node.inputs[0] if node.inputs else None
            if source is not None and _is_copy(node):
                modified |= drop_node(model.graph, node, source)
        return ir.passes.PassResult(model, modified)


def _is_copy(node: ir.Node) -> bool:
    if is_onnx(node, "Identity"):
        return True
    if is_onnx(node, "Sum", "Max", "Min", "Mean", "Concat"):
        return len(node.inputs) == 1
    if not is_onnx(node, "Dropout"):
        return False
    if any(mask.uses() or mask.is_graph_output() for mask in node.outputs[1:]):
        return False
    training = node.inputs[2] if len(node.inputs) > 2 else None
    if training is None:
        return True
    mode = constant_array(training)
    return mode is not None and not mode.any()
