"""Gives constants the form in which TVM's importer expects them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    add_constant,
    attribute_int,
    attribute_ints,
    constant_array,
    is_onnx,
    static_shape,
)

__all__ = ["ShapeConstants"]


class ShapeConstants(ir.passes.InPlacePass):
    """Rewrites constant inputs, never what is computed.

    Case 1: scale and bias of ``LayerNormalization`` get the shape of the normalized axes.
    Case 2: the exponent of ``Pow`` gets the type of its base, if that is a float.
    Case 3: ``Resize`` with ``axes`` gets scales or sizes for all axes.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in model.graph:
            if is_onnx(node, "LayerNormalization"):
                modified |= _expand_norm(model.graph, node)
            elif is_onnx(node, "Pow"):
                modified |= _cast_exponent(model.graph, node)
            elif is_onnx(node, "Resize") and "axes" in node.attributes:
                modified |= _all_axes(model.graph, node)
        return ir.passes.PassResult(model, modified)


def _expand_norm(graph: ir.Graph, node: ir.Node) -> bool:
    shape = static_shape(node.inputs[0])
    if shape is None:
        return False
    normalized = shape[attribute_int(node, "axis", -1) % len(shape) :]
    modified = False
    for index, value in enumerate(node.inputs):
        array = constant_array(value) if index else None
        if value is not None and array is not None and array.shape != normalized:
            flat = np.broadcast_to(array, normalized)
            node.replace_input_with(index, add_constant(graph, f"{value.name}/expanded", flat))
            modified = True
    return modified


def _cast_exponent(graph: ir.Graph, node: ir.Node) -> bool:
    base, exponent = node.inputs[0], constant_array(node.inputs[1])
    if base is None or base.dtype is None or exponent is None:
        return False
    if not base.dtype.is_floating_point() or exponent.dtype == base.dtype.numpy():
        return False
    name = f"{node.name}/exponent"
    node.replace_input_with(1, add_constant(graph, name, exponent.astype(base.dtype.numpy())))
    return True


def _all_axes(graph: ir.Graph, node: ir.Node) -> bool:
    shape = static_shape(node.inputs[0])
    if shape is None or "keep_aspect_ratio_policy" in node.attributes or node.inputs[1] is not None:
        return False
    axes = [axis % len(shape) for axis in attribute_ints(node, "axes", ())]
    for index in (2, 3):
        given = constant_array(node.inputs[index]) if index < len(node.inputs) else None
        if given is None or given.size != len(axes):
            continue
        full = np.array(shape if index == 3 else [1] * len(shape), given.dtype)
        full[axes] = given
        name = f"{node.name}/{'scales' if index == 2 else 'sizes'}"
        node.replace_input_with(index, add_constant(graph, name, full))
        del node.attributes["axes"]
        return True
    return False
