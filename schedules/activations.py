"""Activations by their definition in ONNX's operator documents, on one element or a vector.

The smooth ones are built from :mod:`.vector_forms`, in the form that needs one exponential and one
division at most:

- ``silu``: x σ(x); ``swish``: x σ(αx).
- ``gelu``: x (1 + erf(x / √2)) / 2; ``gelu_tanh``: x (1 + tanh u) / 2 = x σ(2u) with
  u = √(2/π) (x + 0.044715 x³).
- ``mish``: x tanh(ln(1 + e^x)) = x w / (w + 2) with w = e^x (e^x + 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from edgewright.schedules import vector_forms as forms
from edgewright.schedules.vector_forms import Arithmetic, like
from edgewright.schedules.workload import Activation

__all__ = ["activated"]

#: From here on mish is the identity in float32; above 44, w would be infinite.
_MISH_IDENTITY = 20.0
_GELU_CUBIC = 0.044715


def activated(x: Any, activation: Activation, ops: Arithmetic) -> Any:
    """``activation(x)``; NaN stays NaN.

    Args:
        x: a named float32 expression.
        activation: what to compute.
        ops: how to compute it.

    Raises:
        ValueError: the kind is not one that kernels fuse (see ``workload.FUSED_ACTIVATIONS``).
    """
    function = _FUNCTIONS.get(activation.kind)
    if function is None:
        raise ValueError(f"activation '{activation.kind}' cannot be fused")
    value = function(x, activation, ops)
    return value if activation.scale == 1.0 else value * like(activation.scale, x)


def _relu(x: Any, _: Activation, ops: Arithmetic) -> Any:
    return ops.maximum(like(0.0, x), x)


def _clip(x: Any, activation: Activation, ops: Arithmetic) -> Any:
    return _bounded(x, activation.low, activation.high, ops)


def _bounded(x: Any, low: float, high: float, ops: Arithmetic) -> Any:
    """``min(max(x, low), high)``, infinite bounds left out."""
    if low > -math.inf:
        x = ops.maximum(like(low, x), x)
    if high < math.inf:
        x = ops.minimum(like(high, x), x)
    return x


def _leaky_relu(x: Any, activation: Activation, ops: Arithmetic) -> Any:
    zero, slope = like(0.0, x), like(activation.alpha, x)
    return ops.maximum(zero, x) + slope * ops.minimum(zero, x)


def _hard_sigmoid(x: Any, activation: Activation, ops: Arithmetic) -> Any:
    return _bounded(x * like(activation.alpha, x) + like(activation.beta, x), 0.0, 1.0, ops)


def _hard_swish(x: Any, _: Activation, ops: Arithmetic) -> Any:
    return x * _bounded(x * like(1.0 / 6.0, x) + like(0.5, x), 0.0, 1.0, ops)


def _sigmoid(x: Any, _: Activation, ops: Arithmetic) -> Any:
    return forms.sigmoid(x, ops)


def _silu(x: Any, _: Activation, ops: Arithmetic) -> Any:
    return x * forms.sigmoid(x, ops)


def _swish(x: Any, activation: Activation, ops: Arithmetic) -> Any:
    return x * forms.sigmoid(ops.let(x * like(activation.alpha, x)), ops)


def _tanh(x: Any, _: Activation, ops: Arithmetic) -> Any:
    return forms.tanh(x, ops)


def _gelu(x: Any, _: Activation, ops: Arithmetic) -> Any:
    half = ops.let(x * like(0.5, x))
    return half + half * forms.erf(ops.let(x * like(math.sqrt(0.5), x)), ops)


def _gelu_tanh(x: Any, _: Activation, ops: Arithmetic) -> Any:
    twice = 2.0 * math.sqrt(2.0 / math.pi)
    square = ops.let(x * x)
    slope = ops.multiply_add(square, like(twice * _GELU_CUBIC, x), like(twice, x))
    return x * forms.sigmoid(ops.let(x * slope), ops)


def _mish(x: Any, _: Activation, ops: Arithmetic) -> Any:
    power = ops.let(forms.exp_of_bounded(x, ops, high=_MISH_IDENTITY))
    w = ops.let(ops.multiply_add(power, power, power + power))
    return x * (w * ops.reciprocal(ops.let(w + like(2.0, x))))


_FUNCTIONS: dict[str, Callable[[Any, Activation, Arithmetic], Any]] = {
    "relu": _relu,
    "clip": _clip,
    "leaky_relu": _leaky_relu,
    "hard_swish": _hard_swish,
    "hard_sigmoid": _hard_sigmoid,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "swish": _swish,
    "tanh": _tanh,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "mish": _mish,
}
