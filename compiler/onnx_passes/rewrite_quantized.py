"""Writes products of quantized tensors with operators on exact floating-point integers."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, static_shape
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteQuantized"]

#: Largest product of two differences of 8-bit numbers.
_PRODUCT = 255 * 255
#: Integers up to here are exact in float32.
_EXACT = 2**24


class RewriteQuantized(NodeRewrite):
    """Takes the zero points away, multiplies, and puts scales and zero points on again.

    Case 1: ``ConvInteger``: ``Conv(x - x_zero, w - w_zero)``, as int32.
    Case 2: ``QLinearConv``: ``QuantizeLinear(s_x s_w Conv(x - x_zero, w - w_zero) + s_x s_w b)``.
    Case 3: ``QLinearMatMul``: ``QuantizeLinear(s_a s_b MatMul(a - a_zero, b - b_zero))``.

    Sums are computed in float32 where every integer in them is exact, else in float64.

    Source: ONNX's Operators.md; Jacob et al., 2017, arXiv:1712.05877, section 2.2.
    """

    operators: ClassVar[tuple[str, ...]] = ("ConvInteger", "QLinearConv", "QLinearMatMul")

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        inputs = [*node.inputs, *[None] * (9 - len(node.inputs))]
        if node.op_type == "ConvInteger":
            x, w, x_zero, w_zero = inputs[:4]
            product = _product(node, make, (x, x_zero), (w, w_zero))
            return None if product is None else [make.cast(product, ir.DataType.INT32, "sums")]
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias = inputs
        product = _product(node, make, (x, x_zero), (w, w_zero))
        if product is None or static_shape(w_scale) is None or y_scale is None:
            return None
        scaled = _scaled(node, make, product, (x_scale, w_scale), bias)
        return [make.emit("QuantizeLinear", scaled, y_scale, y_zero, stem="quantized")]


def _product(
    node: ir.Node,
    make: Rewrite,
    left: tuple[ir.Value | None, ir.Value | None],
    right: tuple[ir.Value | None, ir.Value | None],
) -> ir.Value | None:
    """The product of two tensors without their zero points, float32 or float64."""
    x_shape, w_shape = static_shape(left[0]), static_shape(right[0])
    result = static_shape(node.outputs[0])
    if x_shape is None or w_shape is None or result is None:
        return None
    is_conv = "Conv" in node.op_type
    dtype = _sum_type(w_shape[1:] if is_conv else x_shape[-1:])
    operands = []
    for name, (value, zero), shape in zip(
        ("x", "w"), (left, right), (x_shape, w_shape), strict=True
    ):
        assert value is not None
        number = make.cast(value, dtype, f"{name}_number")
        if zero is not None:
            zero = make.cast(zero, dtype, f"{name}_zero")
            zero = _along(make, zero, name, len(shape), conv=is_conv)
            number = make.emit("Sub", number, zero, stem=f"{name}_shifted", shape=shape)
        operands.append(number)
    attributes = node.attributes.values()
    operator = "Conv" if is_conv else "MatMul"
    return make.emit(operator, *operands, stem="sum", shape=result, attributes=attributes)


def _sum_type(terms: tuple[int, ...]) -> ir.DataType:
    """What holds every sum of so many products of 8-bit numbers exactly."""
    exact = math.prod(terms) * _PRODUCT <= _EXACT
    return ir.DataType.FLOAT if exact else ir.DataType.DOUBLE


def _along(make: Rewrite, value: ir.Value, name: str, rank: int, *, conv: bool) -> ir.Value:
    """A parameter of one number for each row or channel, where it broadcasts to its tensor.

    Of a convolution's weights these are the output channels; a matrix' left operand has one for
    each row, its right one for each column.
    """
    shape = static_shape(value)
    if shape is None or len(shape) != 1 or shape[0] == 1:
        return value
    if conv:
        wanted = [-1, *[1] * (rank - 1)] if name == "w" else [1, -1, *[1] * (rank - 2)]
    else:
        wanted = [-1, 1] if name == "x" else [-1]
    extents = tuple(shape[0] if extent == -1 else extent for extent in wanted)
    target = make.constant(f"{name}_along", np.array(extents, np.int64))
    return make.emit("Reshape", value, target, stem=f"{value.name}_along", shape=extents)


def _scaled(
    node: ir.Node,
    make: Rewrite,
    product: ir.Value,
    scales: tuple[ir.Value | None, ir.Value | None],
    bias: ir.Value | None,
) -> ir.Value:
    """The product in real numbers, in the type of the scales."""
    x_scale, w_scale = scales
    assert x_scale is not None and w_scale is not None and x_scale.dtype is not None
    result = static_shape(node.outputs[0]) or ()
    is_conv = "Conv" in node.op_type
    sums = product
    if is_conv and bias is not None:
        number = make.cast(bias, _sum_type((static_shape(node.inputs[3]) or ())[1:]), "bias")
        number = _along(make, number, "bias", len(result), conv=True)
        sums = make.emit("Add", product, number, stem="biased", shape=result)
    real = make.cast(sums, x_scale.dtype, "real")
    if is_conv:
        # One scale for each output channel, the result's axis 1.
        w_scale = _along(make, w_scale, "scale", len(result), conv=True)
    else:
        x_scale = _along(make, x_scale, "x", len(result), conv=False)
    for name, scale in (("x", x_scale), ("w", w_scale)):
        real = make.emit("Mul", real, scale, stem=f"scaled_by_{name}", shape=result)
    return real
