"""Recognise activations that a model spells with several operators: a tensor times its gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from edgewright.compiler.read_relax import constant_array, is_constant, op_name
from edgewright.schedules.workload import Activation

__all__ = ["gated_activation"]

#: How far a constant of the model may lie from the one that a definition names, relatively.
_TOLERANCE = 1e-6


def gated_activation(
    result: Any, value_of: Mapping[Any, Any], activations: Mapping[Any, tuple[Activation, Any]]
) -> tuple[Activation, Any] | None:
    """The activation that ``result`` is, and the tensor that it is of.

    A product is taken apart into its tensors and one number; exporters order them differently.
    The number may be any: passes over the model move factors into the weights behind. What is
    missing of it becomes the activation's ``scale``.

    Case 1: x * sigmoid(x) is ``silu``.
    Case 2: x * sigmoid(a * x) is ``swish``.
    Case 3: x * clip(x + 3, 0, 6) * 1/6, or x * hard_sigmoid(x) with slope 1/6, is ``hard_swish``.
    Case 4: x * (erf(x / sqrt(2)) + 1) * 1/2 is ``gelu``.

    Args:
        result: a variable.
        value_of: the bindings by variable.
        activations: activations that Relax has no operator for, by result.

    Returns:
        None where the variable is none of these.
    """
    graph = _Graph(value_of, activations)
    if not graph.is_product(result):
        return None
    factors, number = graph.factors(result)
    if len(factors) != 2:
        return None
    for x, gate in (factors, factors[::-1]):
        for match in (_silu, _hard_swish, _gelu):
            found = match(graph, x, gate)
            if found is not None:
                activation, own_number = found
                scale = number / own_number
                return replace(activation, scale=1.0 if _close(scale, 1.0) else scale), x
    return None


class _Graph:
    """Reads expressions through the variables that they are bound to."""

    def __init__(
        self, value_of: Mapping[Any, Any], activations: Mapping[Any, tuple[Activation, Any]]
    ) -> None:
        self._value_of = value_of
        self.activations = activations

    def arguments(self, variable: Any, name: str) -> list[Any] | None:
        """The arguments of the operator ``name``, if that is what ``variable`` is bound to."""
        if not isinstance(variable, relax.Var):
            return None
        value: Any = self._value_of.get(variable)
        return list(value.args) if op_name(value) == name else None

    def is_product(self, variable: Any) -> bool:
        """Whether the variable is bound to a product or quotient."""
        names = ("relax.multiply", "relax.divide")
        return any(self.arguments(variable, name) is not None for name in names)

    def factors(self, variable: Any) -> tuple[list[Any], float]:
        """Two tensors and a number whose product the variable is; itself where it is no product."""
        product = self.arguments(variable, "relax.multiply")
        quotient = self.arguments(variable, "relax.divide")
        left, right = product or quotient or (None, None)
        if left is None:
            return [variable], 1.0
        of_left, of_right = _number(left), _number(right)
        if of_right is not None:
            tensors, number = self.factors(left)
            return tensors, number * of_right if product else number / of_right
        if of_left is not None and product:
            tensors, number = self.factors(right)
            return tensors, number * of_left
        if quotient or is_constant(left) or is_constant(right):
            return [variable], 1.0
        return self._both_factors(left, right)

    def _both_factors(self, left: Any, right: Any) -> tuple[list[Any], float]:
        tensors, number = [], 1.0
        for side in (left, right):
            base, factor = self.scaled(side)
            tensors.append(base)
            number *= factor
        return tensors, number

    def scaled(self, variable: Any) -> tuple[Any, float]:
        """A tensor and a number whose product the variable is."""
        for name in ("relax.multiply", "relax.divide"):
            left, right = self.arguments(variable, name) or (None, None)
            if left is None:
                continue
            number = _number(right)
            if number is not None:
                base, factor = self.scaled(left)
                return base, factor * number if name == "relax.multiply" else factor / number
            number = _number(left) if name == "relax.multiply" else None
            if number is not None:
                base, factor = self.scaled(right)
                return base, factor * number
        return variable, 1.0

    def shifted(self, variable: Any) -> tuple[Any, float]:
        """A tensor and a number whose sum the variable is."""
        left, right = self.arguments(variable, "relax.add") or (None, None)
        if left is not None:
            for base, shift in ((left, _number(right)), (right, _number(left))):
                if shift is not None:
                    return base, shift
        return variable, 0.0


def _number(expr: Any) -> float | None:
    """The value of a constant float32 of one element."""
    if not is_constant(expr):
        return None
    array = constant_array(expr)
    single = array.dtype == np.float32 and array.size == 1
    return float(array.reshape(())) if single else None


def _close(value: float, expected: float) -> bool:
    return math.isclose(value, expected, rel_tol=_TOLERANCE)


def _silu(graph: _Graph, x: Any, gate: Any) -> tuple[Activation, float] | None:
    """Cases 1 and 2, and the number that belongs to them."""
    argument = graph.arguments(gate, "relax.sigmoid")
    if argument is None:
        return None
    if argument[0].same_as(x):
        return Activation("silu"), 1.0
    base, factor = graph.scaled(argument[0])
    return (Activation("swish", alpha=factor), 1.0) if base.same_as(x) else None


def _hard_swish(graph: _Graph, x: Any, gate: Any) -> tuple[Activation, float] | None:
    """Case 3, and the number that belongs to it."""
    known = graph.activations.get(gate)
    if known is not None:
        inner, source = known
        fits = _close(inner.alpha, 1 / 6) and _close(inner.beta, 0.5)
        matches = inner.kind == "hard_sigmoid" and fits and source.same_as(x)
        return (Activation("hard_swish"), 1.0) if matches else None
    clip = graph.arguments(gate, "relax.clip")
    if clip is None or (clip[1].value, clip[2].value) != (0, 6):
        return None
    base, shift = graph.shifted(clip[0])
    return (Activation("hard_swish"), 1 / 6) if base.same_as(x) and shift == 3.0 else None


def _gelu(graph: _Graph, x: Any, gate: Any) -> tuple[Activation, float] | None:
    """Case 4, and the number that belongs to it."""
    error, shift = graph.shifted(gate)
    argument = graph.arguments(error, "relax.erf")
    if argument is None or shift != 1.0:
        return None
    base, factor = graph.scaled(argument[0])
    fits = base.same_as(x) and _close(factor, math.sqrt(0.5))
    return (Activation("gelu"), 0.5) if fits else None
