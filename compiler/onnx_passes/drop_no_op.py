"""Removes operators that, with these very constants and shapes, change nothing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    attribute_ints,
    constant_array,
    drop_node,
    is_onnx,
    static_shape,
)

__all__ = ["DropNoOp"]


class DropNoOp(ir.passes.InPlacePass):
    """Removes nodes whose output is their first input.

    Case 1: ``Cast`` and ``CastLike`` to the type the input has.
    Case 2: ``Transpose`` that keeps the order of all axes of more than one element.
    Case 3: ``Reshape``, ``Flatten``, ``Squeeze``, ``Unsqueeze``, ``Expand`` to the shape the input
        has.
    Case 4: ``Pad`` by nothing; ``Slice`` with positive steps, ``Tile``, ``Resize`` that keep the
        shape.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Remove the no-ops of the main graph."""
        modified = False
        for node in list(model.graph):
            source = node.inputs[0] if node.inputs else None
            if source is not None and len(node.outputs) == 1 and _is_no_op(node, source):
                modified |= drop_node(model.graph, node, source)
        return ir.passes.PassResult(model, modified)


def _is_no_op(node: ir.Node, source: ir.Value) -> bool:
    output = node.outputs[0]
    if is_onnx(node, "Cast", "CastLike"):
        return output.dtype is not None and source.dtype == output.dtype
    before, after = static_shape(source), static_shape(output)
    if before is None or before != after:
        return False
    if is_onnx(node, "Transpose"):
        order = attribute_ints(node, "perm", range(len(before) - 1, -1, -1))
        moved = [axis for axis in order if before[axis] > 1]
        return moved == sorted(moved)
    if is_onnx(node, "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile"):
        return True
    if is_onnx(node, "Pad"):
        pads = constant_array(node.inputs[1]) if len(node.inputs) > 1 else None
        return pads is not None and not pads.any()
    if is_onnx(node, "Slice"):
        steps = node.inputs[4] if len(node.inputs) > 4 else None
        array = constant_array(steps)
        return steps is None or (
            array is not None and bool(np.all(np.asarray(array, np.int64) > 0))
        )
    if is_onnx(node, "Resize"):
        return _resizes_nothing(node, len(before))
    return False


def _resizes_nothing(node: ir.Node, rank: int) -> bool:
    """Whether a Resize of equal shapes also has scales of exactly one and no region of interest."""
    mode = node.attributes.get("coordinate_transformation_mode")
    if mode is not None and mode.as_string() == "tf_crop_and_resize":
        return False
    if attribute_int(node, "antialias", 0):
        return False
    scales = constant_array(node.inputs[2]) if len(node.inputs) > 2 else None
    if scales is not None and scales.size:
        return bool(np.all(scales == 1))
    return len(node.inputs) > 3 and node.inputs[3] is not None and rank > 0
