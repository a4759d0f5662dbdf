"""The activations of ``LSTM``, ``GRU`` and ``RNN``, written with ONNX's operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_floats,
    attribute_strings,
    known_shape,
)

__all__ = ["Activation", "activations_of", "clip", "decline_activations"]


@dataclass(frozen=True)
class _Kind:
    """One activation of ONNX's list.

    Attributes:
        op_type: the operator that computes it, or its core.
        scales: names of what it takes, of ``alpha`` and ``beta``, in that order.
        defaults: of those; None where ONNX names none: onnxruntime then computes with 0.
    """

    op_type: str
    scales: tuple[str, ...] = ()
    defaults: tuple[float | None, ...] = ()


_KINDS = {
    "relu": _Kind("Relu"),
    "tanh": _Kind("Tanh"),
    "sigmoid": _Kind("Sigmoid"),
    "softsign": _Kind("Softsign"),
    "softplus": _Kind("Softplus"),
    "elu": _Kind("Elu", ("alpha",), (1.0,)),
    "leakyrelu": _Kind("LeakyRelu", ("alpha",), (0.01,)),
    "thresholdedrelu": _Kind("ThresholdedRelu", ("alpha",), (None,)),
    "hardsigmoid": _Kind("HardSigmoid", ("alpha", "beta"), (0.2, 0.5)),
    "affine": _Kind("Affine", ("alpha", "beta"), (None, None)),
    "scaledtanh": _Kind("ScaledTanh", ("alpha", "beta"), (None, None)),
}


@dataclass(frozen=True)
class Activation:
    """An activation with its numbers.

    Attributes:
        kind: its name in lower case.
        alpha: the first number, where it takes one.
        beta: the second.
    """

    kind: str
    alpha: float = 0.0
    beta: float = 0.0

    def emit(self, rewrite: Rewrite, value: ir.Value, stem: str) -> ir.Value:
        """Apply it to ``value``; the result has the same shape.

        ``Affine`` is ``alpha x + beta``, ``ScaledTanh`` is ``alpha tanh(beta x)``; the others are
        operators of their own.
        """
        kind = _KINDS[self.kind]
        shape = known_shape(value)
        if self.kind == "affine":
            scaled = _scaled(rewrite, value, self.alpha, f"{stem}/scaled")
            shift = rewrite.constant(f"shift/{self.beta}", _scalar(rewrite, self.beta))
            return rewrite.emit("Add", scaled, shift, stem=stem, shape=shape)
        if self.kind == "scaledtanh":
            scaled = _scaled(rewrite, value, self.beta, f"{stem}/scaled")
            tanh = rewrite.emit("Tanh", scaled, stem=f"{stem}/tanh", shape=shape)
            return _scaled(rewrite, tanh, self.alpha, stem)
        numbers = zip(kind.scales, (self.alpha, self.beta), strict=False)
        attributes = [ir.Attr(name, ir.AttributeType.FLOAT, number) for name, number in numbers]
        return rewrite.emit(kind.op_type, value, stem=stem, shape=shape, attributes=attributes)


def activations_of(node: ir.Node, defaults: Sequence[str], directions: int) -> list[Activation]:
    """The activations of all directions, one after the other.

    Numbers of ``activation_alpha`` and ``activation_beta`` go, in order, to the activations that
    take one.

    Args:
        node: for which :func:`decline_activations` answers None.
        defaults: names of one direction where the node names none.
        directions: 1 or 2.
    """
    names = attribute_strings(node, "activations", list(defaults) * directions)
    given = {
        "alpha": attribute_floats(node, "activation_alpha", ()),
        "beta": attribute_floats(node, "activation_beta", ()),
    }
    found = []
    for name in names:
        kind = _KINDS[name.lower()]
        numbers: dict[str, float] = {}
        for scale, default in zip(kind.scales, kind.defaults, strict=True):
            number = given[scale].pop(0) if given[scale] else default
            numbers[scale] = 0.0 if number is None else number
        found.append(Activation(name.lower(), **numbers))
    return found


def decline_activations(node: ir.Node, count: int) -> str | None:
    """Why the activations of a recurrent operator cannot be written out, or None.

    Args:
        node: ``LSTM``, ``GRU`` or ``RNN``.
        count: how many activations its directions have together.
    """
    names = attribute_strings(node, "activations", ())
    if names and len(names) != count:
        return f"it names {len(names)} activations, and has {count}"
    left = {
        scale: len(attribute_floats(node, f"activation_{scale}", ())) for scale in ("alpha", "beta")
    }
    for name in names:
        kind = _KINDS.get(name.lower())
        if kind is None:
            return f"its activation {name} is not one of ONNX's"
        for scale, default in zip(kind.scales, kind.defaults, strict=True):
            if not left[scale] and default is None:
                return f"its activation {name} needs activation_{scale}, which has no default"
            left[scale] = max(0, left[scale] - 1)
    return None


def clip(rewrite: Rewrite, bound: float, value: ir.Value, stem: str) -> ir.Value:
    """``value`` within ``[-bound, bound]``, or as it is where ``bound`` is 0."""
    if bound <= 0:
        return value
    shape = known_shape(value)
    low = rewrite.constant("clip/low", _scalar(rewrite, -bound))
    high = rewrite.constant("clip/high", _scalar(rewrite, bound))
    return rewrite.emit("Clip", value, low, high, stem=f"{stem}/clipped", shape=shape)


def _scaled(rewrite: Rewrite, value: ir.Value, factor: float, stem: str) -> ir.Value:
    shape = known_shape(value)
    constant = rewrite.constant(f"factor/{factor}", _scalar(rewrite, factor))
    return rewrite.emit("Mul", value, constant, stem=stem, shape=shape)


def _scalar(rewrite: Rewrite, number: float) -> npt.NDArray[np.generic]:
    return np.array(number, rewrite.dtype)
