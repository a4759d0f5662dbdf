"""Removes tensors without elements from concatenations and splits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    add_constant,
    attribute_int,
    is_onnx,
    is_used,
    static_shape,
)

__all__ = ["DropEmpty"]


class DropEmpty(ir.passes.InPlacePass):
    """Leaves out what has no elements.

    Case 1: an empty input of a ``Concat`` that has others.
    Case 2: a ``Split`` of which all of the input goes to one output, and nobody reads the others,
        becomes ``Identity``.
    Case 3: a ``Split`` with empty outputs that nobody reads splits into the others only.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Edit the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "Concat"):
                modified |= _shorten_concat(node)
            elif is_onnx(node, "Split"):
                modified |= _shorten_split(model.graph, node)
        return ir.passes.PassResult(model, modified)


def _is_empty(value: ir.Value | None) -> bool:
    shape = static_shape(value)
    return shape is not None and 0 in shape


def _shorten_concat(node: ir.Node) -> bool:
    kept = [value for value in node.inputs if not _is_empty(value)]
    if len(kept) == len(node.inputs) or not kept:
        return False
    for index, value in enumerate(kept):
        node.replace_input_with(index, value)
    node.resize_inputs(len(kept))
    return True


def _shorten_split(graph: ir.Graph, node: ir.Node) -> bool:
    shapes = [static_shape(value) for value in node.outputs]
    full = [shape for shape in shapes if shape is not None and 0 not in shape]
    empty = [value for value in node.outputs if _is_empty(value)]
    if None in shapes or not empty or not full or any(is_used(value) for value in empty):
        return False
    axis = attribute_int(node, "axis", 0)
    kept = [value for value in node.outputs if not _is_empty(value)]
    if len(kept) > 1:
        sizes = np.array([shape[axis] for shape in full], np.int64)
        lengths = add_constant(graph, f"{node.name}/sizes", sizes)
        names = [value.name for value in kept]
        outputs = [ir.Value(name=v.name, type=v.type, shape=v.shape) for v in kept]
        split = ir.Node(
            "",
            "Split",
            [node.inputs[0], lengths],
            [node.attributes["axis"]] if "axis" in node.attributes else [],
            outputs=outputs,
            name=node.name,
            metadata_props=dict(node.metadata_props),
        )
        for old, new, name in zip(kept, outputs, names, strict=True):
            old.name, new.name = None, name
            old.replace_all_uses_with(new, replace_graph_outputs=True)
        graph.insert_after(node, split)
        graph.remove(node, safe=True)
        return True
    (value,) = kept
    make = Rewrite(graph, node)
    copy = make.emit("Identity", node.inputs[0], stem="whole", shape=static_shape(value))
    make.finish_outputs([copy if output is value else None for output in node.outputs])
    return True
