"""Writes ``DeformConv`` as samples of its input and a 1x1 convolution."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_int,
    attribute_ints,
    constant_array,
    static_shape,
)
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteDeformConv"]


class RewriteDeformConv(NodeRewrite):
    """Samples every tap of the kernel where its offset points, then adds the products up.

    Case 1: ``DeformConv`` over images: ``GridSample`` (bilinear, zeros
        outside) gives ``[N, C, taps, H, W]``, the mask scales it, and a grouped 1x1 ``Conv`` over
        ``C * taps`` channels does the rest.

    Source: Dai et al., 2017, arXiv:1703.06211; Zhu et al., 2018, arXiv:1811.11168 (the mask).
    """

    operators: ClassVar[tuple[str, ...]] = ("DeformConv",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        shapes = [static_shape(value) for value in (*node.inputs[:3], node.outputs[0])]
        weights = constant_array(node.inputs[1])
        if any(shape is None or len(shape) != 4 for shape in shapes):
            return None
        kernel = shapes[1] or ()
        samples = _samples(node, make, kernel)
        flat_shape = (kernel[0], math.prod(kernel[1:]), 1, 1)
        if weights is not None:
            flat = make.constant("weights", np.ascontiguousarray(weights.reshape(flat_shape)))
        else:
            target = make.constant("weights_shape", np.array(flat_shape, np.int64))
            flat = make.emit("Reshape", node.inputs[1], target, stem="weights", shape=flat_shape)
        bias = node.inputs[3] if len(node.inputs) > 3 else None
        group = ir.Attr("group", ir.AttributeType.INT, attribute_int(node, "group", 1))
        inputs = [samples, flat, *([bias] if bias is not None else [])]
        return [make.emit("Conv", *inputs, stem="sum", attributes=[group])]


def _samples(node: ir.Node, make: Rewrite, weights: tuple[int, ...]) -> ir.Value:
    """``[N, C * taps, H, W]``: the input where each tap of each output pixel looks."""
    source, offsets = node.inputs[0], node.inputs[2]
    mask = node.inputs[4] if len(node.inputs) > 4 else None
    batch, channels, *extents = static_shape(source) or ()
    # GridSample counts from -1 to 1 over an image, which is exact for powers of two only; the zeros
    # below and to the right change nothing, since beyond the image there is nothing else.
    in_h, in_w = (1 << (extent - 1).bit_length() for extent in extents)
    _, _, out_h, out_w = static_shape(node.outputs[0]) or ()
    groups, taps = attribute_int(node, "offset_group", 1), weights[2] * weights[3]
    images, width = batch * groups, channels // groups

    def reshaped(value: ir.Value | None, shape: tuple[int, ...], stem: str) -> ir.Value:
        target = make.constant(f"{stem}_shape", np.array(shape, np.int64))
        return make.emit("Reshape", value, target, stem=stem, shape=shape)

    grid = reshaped(offsets, (images, taps, 2, out_h, out_w), "offsets")
    # From pixels, which GridSample counts from -1 to 1 over the image's edges, row before column.
    scale = np.array([2.0 / in_h, 2.0 / in_w], np.float32).reshape(1, 1, 2, 1, 1)
    start = (_tap_places(node, weights, (out_h, out_w)) + 0.5) * scale - 1.0
    shape = (images, taps, 2, out_h, out_w)
    grid = make.emit("Mul", grid, make.constant("scale", scale), stem="scaled", shape=shape)
    grid = make.emit(
        "Add", grid, make.constant("start", start.astype(np.float32)), stem="places", shape=shape
    )
    parts = [
        make.emit(
            "Gather",
            grid,
            make.constant(name, np.array(index, np.int64)),
            stem=f"{name}s",
            shape=(images, taps, out_h, out_w),
            attributes=[ir.Attr("axis", ir.AttributeType.INT, 2)],
        )
        for name, index in (("column", 1), ("row", 0))
    ]
    pairs = [
        reshaped(part, (images, taps * out_h, out_w, 1), f"pair_{i}")
        for i, part in enumerate(parts)
    ]
    grid = make.emit(
        "Concat",
        *pairs,
        stem="grid",
        shape=(images, taps * out_h, out_w, 2),
        attributes=[ir.Attr("axis", ir.AttributeType.INT, 3)],
    )
    pads = np.array([0, 0, 0, 0, 0, 0, in_h - extents[0], in_w - extents[1]], np.int64)
    if pads.any():
        source = make.emit(
            "Pad",
            source,
            make.constant("pads", pads),
            stem="padded",
            shape=(batch, channels, in_h, in_w),
        )
    grouped = reshaped(source, (images, width, in_h, in_w), "grouped")
    sampled = make.emit(
        "GridSample",
        grouped,
        grid,
        stem="sampled",
        shape=(images, width, taps * out_h, out_w),
        attributes=[
            ir.Attr("mode", ir.AttributeType.STRING, _sampling_mode(node)),
            ir.Attr("padding_mode", ir.AttributeType.STRING, "zeros"),
            ir.Attr("align_corners", ir.AttributeType.INT, 0),
        ],
    )
    if mask is not None:
        scaled = reshaped(mask, (images, 1, taps * out_h, out_w), "mask")
        sampled = make.emit(
            "Mul", sampled, scaled, stem="masked", shape=(images, width, taps * out_h, out_w)
        )
    return reshaped(sampled, (batch, channels * taps, out_h, out_w), "samples")


def _sampling_mode(node: ir.Node) -> str:
    opset = node.graph.opset_imports.get("", 0) if node.graph is not None else 0
    return "linear" if opset >= 20 else "bilinear"


def _tap_places(
    node: ir.Node, weights: tuple[int, ...], extents: tuple[int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Row and column of each tap without its offset, ``float64[1, taps, 2, out_h, out_w]``."""
    strides = attribute_ints(node, "strides", (1, 1))
    dilations = attribute_ints(node, "dilations", (1, 1))
    pads = attribute_ints(node, "pads", (0, 0, 0, 0))
    kernel = weights[2:]
    places = np.zeros((kernel[0], kernel[1], 2, *extents))
    for axis in range(2):
        taps = np.arange(kernel[axis]) * dilations[axis] - pads[axis]
        outputs = np.arange(extents[axis]) * strides[axis]
        shape_taps, shape_outputs = [1] * 4, [1] * 4
        shape_taps[axis], shape_outputs[2 + axis] = -1, -1
        places[:, :, axis] = taps.reshape(shape_taps) + outputs.reshape(shape_outputs)
    return places.reshape(1, kernel[0] * kernel[1], 2, *extents)
