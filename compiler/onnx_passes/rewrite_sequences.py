"""Resolves sequences of tensors whose members are known when compiling."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_int,
    constant_array,
    is_onnx,
    known_shape,
    static_shape,
)

__all__ = ["RewriteSequences"]

_Members = dict[ir.Value, list[ir.Value]]


class RewriteSequences(ir.passes.InPlacePass):
    """Follows the members of each sequence, and lets its readers read those.

    Case 1: ``SequenceEmpty``, ``SequenceConstruct``, ``SequenceInsert`` and ``SequenceErase`` at
        constant positions: only remembered.
    Case 2: ``SplitToSequence`` of a static shape into constant parts becomes ``Split``.
    Case 3: ``SequenceAt`` at a constant position becomes ``Identity``, ``SequenceLength`` a
        constant, ``ConcatFromSequence`` ``Concat``.

    A sequence that is an output, or whose positions are computed, is left to the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        members: _Members = {}
        modified = False
        for node in list(model.graph):
            if node.domain == "" and node.outputs:
                _remember(model.graph, node, members)
                modified |= _read(model.graph, node, members)
        return ir.passes.PassResult(model, modified)


def _position(node: ir.Node, index: int, count: int, default: int) -> int | None:
    """The position that an input names among ``count``, or None if it is computed or beyond."""
    value = node.inputs[index] if len(node.inputs) > index else None
    if value is None:
        return default
    array = constant_array(value)
    if array is None:
        return None
    position = int(array.reshape(()))
    position += count if position < 0 else 0
    return position if 0 <= position <= count else None


def _remember(graph: ir.Graph, node: ir.Node, members: _Members) -> None:
    """Note what a sequence holds that this node makes."""
    result = node.outputs[0]
    if is_onnx(node, "SequenceEmpty"):
        members[result] = []
    elif is_onnx(node, "SequenceConstruct"):
        members[result] = [value for value in node.inputs if value is not None]
    elif is_onnx(node, "SplitToSequence"):
        parts = _split(graph, node)
        if parts is not None:
            members[result] = parts
    elif node.inputs and node.inputs[0] in members:
        held = members[node.inputs[0]]
        if is_onnx(node, "Identity"):
            members[result] = held
        elif is_onnx(node, "SequenceInsert") and node.inputs[1] is not None:
            position = _position(node, 2, len(held), len(held))
            if position is not None:
                members[result] = [*held[:position], node.inputs[1], *held[position:]]
        elif is_onnx(node, "SequenceErase"):
            position = _position(node, 1, len(held), len(held) - 1)
            if position is not None and position < len(held):
                members[result] = [*held[:position], *held[position + 1 :]]


def _split(graph: ir.Graph, node: ir.Node) -> list[ir.Value] | None:
    """The parts of a ``SplitToSequence``, computed before it; None if they are not known."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or not shape:
        return None
    axis = attribute_int(node, "axis", 0) % len(shape)
    extent, given = shape[axis], node.inputs[1] if len(node.inputs) > 1 else None
    sizes = [1] * extent
    if given is not None:
        array = constant_array(given)
        if array is None:
            return None
        if array.ndim:
            sizes = [int(size) for size in array]
        else:
            step = int(array)
            sizes = [min(step, extent - start) for start in range(0, extent, step)]
    make = Rewrite(graph, node)
    lengths = make.constant("sizes", np.array(sizes, np.int64))
    along = ir.Attr("axis", ir.AttributeType.INT, axis)
    parts = make.emit_parts(
        "Split", source, lengths, stem="part", count=len(sizes), shape=shape, attributes=[along]
    )
    axes = make.constant("axes", np.array([axis], np.int64))
    for part, size in zip(parts, sizes, strict=True):
        part.shape = ir.Shape([*shape[:axis], size, *shape[axis + 1 :]])
        part.type = source.type
    if given is None and not attribute_int(node, "keepdims", 1):
        rest = (*shape[:axis], *shape[axis + 1 :])
        parts = [
            make.emit("Squeeze", part, axes, stem=f"squeezed/{index}", shape=rest)
            for index, part in enumerate(parts)
        ]
        for part in parts:
            part.type = source.type
    make.insert()
    return parts


def _read(graph: ir.Graph, node: ir.Node, members: _Members) -> bool:
    """Let a node that reads a known sequence read its members."""
    if not node.inputs or node.inputs[0] not in members:
        return False
    held = members[node.inputs[0]]
    make = Rewrite(graph, node)
    if is_onnx(node, "SequenceLength"):
        make.finish(make.emit("Identity", make.constant("length", np.int64(len(held))), stem="n"))
    elif is_onnx(node, "SequenceAt"):
        position = _position(node, 1, len(held), 0)
        if position is None or position >= len(held):
            return False
        make.finish(make.emit("Identity", held[position], stem="member"))
    elif is_onnx(node, "ConcatFromSequence") and held:
        axis, parts = attribute_int(node, "axis", 0), list(held)
        if attribute_int(node, "new_axis", 0):
            axes = make.constant("axes", np.array([axis], np.int64))
            parts = [
                make.emit("Unsqueeze", part, axes, stem=f"wide/{index}", shape=_widened(part, axis))
                for index, part in enumerate(held)
            ]
        along = ir.Attr("axis", ir.AttributeType.INT, axis)
        make.finish(make.emit("Concat", *parts, stem="joined", attributes=[along]))
    else:
        return False
    return True


def _widened(value: ir.Value, axis: int) -> list[int]:
    shape = list(known_shape(value))
    shape.insert(axis % (len(shape) + 1), 1)
    return shape
