"""Writes forms of ``Resize`` that TVM lacks, or gets wrong, as weighted sums of gathered slices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_float,
    attribute_int,
    attribute_ints,
    attribute_string,
    constant_array,
    static_shape,
)
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results
from edgewright.compiler.onnx_passes.refusals import RULES
from edgewright.compiler.onnx_passes.resize_taps import ResizedAxis, Taps

__all__ = ["RewriteResize"]


class RewriteResize(NodeRewrite):
    """Resizes one axis after the other.

    Case 1: a ``Resize`` that the guard would refuse (uneven scales, ``antialias``, regions of
        interest, any rank), of floats or by ``nearest``: for each axis that changes, the sum over
        the filter's taps ``t`` of ``Gather(x, place[:, t]) * weight[:, t]``.

    Places and weights are computed here, in float64 (:mod:`.resize_taps`). Uneven scales with
    ``align_corners`` are left to the guard: ONNX divides by the product of extent and scale,
    onnxruntime by its whole part.
    """

    operators: ClassVar[tuple[str, ...]] = ("Resize",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, shape = node.inputs[0], static_shape(node.inputs[0])
        result = static_shape(node.outputs[0])
        if source is None or source.dtype is None or shape is None or result is None:
            return None
        reals = source.dtype.is_floating_point()
        nearest = attribute_string(node, "mode", "nearest") == "nearest"
        if not (reals or nearest) or RULES["Resize"](node) is None:
            return None
        if any(value is not None and constant_array(value) is None for value in node.inputs[1:]):
            return None
        value, extents = source, list(shape)
        axes = list(_axes(node, shape, result))
        if any(
            resized.coordinates == "align_corners"
            and not math.isclose(resized.scale * resized.inputs, resized.outputs, rel_tol=1e-6)
            for _, resized in axes
        ):
            return None
        for axis, resized in axes:
            extents[axis] = resized.outputs
            value = _resize(make, value, axis, resized.taps(), tuple(extents), _outside(node))
        if value is source:
            return [make.emit("Identity", source, stem="copy")]
        return [value]


def _outside(node: ir.Node) -> float:
    return attribute_float(node, "extrapolation_value", 0.0)


def _axes(
    node: ir.Node, shape: tuple[int, ...], result: tuple[int, ...]
) -> Iterator[tuple[int, ResizedAxis]]:
    """The axes that change."""
    rank = len(shape)
    axes = [axis % rank for axis in attribute_ints(node, "axes", range(rank))]
    roi, scales, sizes = (
        constant_array(node.inputs[index]) if len(node.inputs) > index else None
        for index in (1, 2, 3)
    )
    coordinates = attribute_string(node, "coordinate_transformation_mode", "half_pixel")
    crops = coordinates == "tf_crop_and_resize" and roi is not None
    policy = attribute_string(node, "keep_aspect_ratio_policy", "stretch")
    if scales is not None and scales.size:
        factors = [float(scale) for scale in scales]
    else:
        assert sizes is not None
        factors = [float(size) / shape[axis] for axis, size in zip(axes, sizes, strict=True)]
        if policy != "stretch":
            factors = [(min if policy == "not_larger" else max)(factors)] * len(factors)
    for index, (axis, factor) in enumerate(zip(axes, factors, strict=True)):
        start, end = 0.0, 1.0
        if crops and roi is not None:
            start, end = float(roi[index]), float(roi[index + len(axes)])
        if factor == 1.0 and (start, end) == (0.0, 1.0):
            continue
        yield (
            axis,
            ResizedAxis(
                inputs=shape[axis],
                outputs=result[axis],
                scale=factor,
                start=start,
                end=end,
                mode=attribute_string(node, "mode", "nearest"),
                coordinates=coordinates,
                nearest=attribute_string(node, "nearest_mode", "round_prefer_floor"),
                cubic_a=attribute_float(node, "cubic_coeff_a", -0.75),
                exclude_outside=bool(attribute_int(node, "exclude_outside", 0)),
                antialias=bool(attribute_int(node, "antialias", 0)),
            ),
        )


def _resize(
    make: Rewrite,
    value: ir.Value,
    axis: int,
    taps: Taps,
    shape: tuple[int, ...],
    outside: float,
) -> ir.Value:
    assert value.dtype is not None
    dtype = value.dtype.numpy()
    along = [1] * len(shape)
    along[axis] = -1
    attributes = [ir.Attr("axis", ir.AttributeType.INT, axis)]
    total: ir.Value | None = None
    for tap in range(taps.places.shape[1]):
        stem = f"axis{axis}/tap{tap}"
        places = make.constant(f"{stem}/places", taps.places[:, tap])
        part = make.emit("Gather", value, places, stem=stem, shape=shape, attributes=attributes)
        if taps.places.shape[1] > 1:
            numbers = taps.weights[:, tap].astype(dtype).reshape(along)
            weights = make.constant(f"{stem}/weights", numbers)
            part = make.emit("Mul", part, weights, stem=f"{stem}/weighted", shape=shape)
        if total is not None:
            part = make.emit("Add", total, part, stem=f"{stem}/sum", shape=shape)
        total = part
    assert total is not None
    if taps.outside.any():
        mask = make.constant(f"axis{axis}/outside", taps.outside.reshape(along))
        number = make.constant(f"axis{axis}/extrapolation", np.array(outside, dtype))
        total = make.emit("Where", mask, number, total, stem=f"axis{axis}/filled", shape=shape)
    return total
