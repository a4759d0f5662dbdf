"""Compares what two runners computed, output by output.

The default tolerance is relative to the output, not to the element: the largest difference may be
:data:`DEFAULT_OF_LARGEST` of the reference's largest magnitude. Elements near zero are sums whose
terms cancel, so that their own relative error says little about the arithmetic. Explicit
tolerances mean what they mean to ``numpy.allclose``: ``|actual - expected| <= atol + rtol *
|expected|`` for every element. Outputs of integers and booleans must be equal unless a tolerance
is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgewright.compiler.verify.runner import Array
from edgewright.spec.errors import UsageError

__all__ = ["DEFAULT_OF_LARGEST", "OutputComparison", "Tolerance", "compare", "compare_output"]

#: Largest difference that passes by default, as a share of the reference's largest magnitude.
DEFAULT_OF_LARGEST = 1e-4


@dataclass(frozen=True)
class Tolerance:
    """How far two outputs may differ.

    Attributes:
        of_largest: share of the reference's largest magnitude; used when neither
            of the others is set.
        atol: absolute part of ``numpy.allclose``'s rule, or None.
        rtol: part of it relative to the expected element, or None.

    Raises:
        UsageError: a tolerance is negative or no number.
    """

    of_largest: float = DEFAULT_OF_LARGEST
    atol: float | None = None
    rtol: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("atol", self.atol), ("rtol", self.rtol)):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise UsageError(
                    f"the tolerance {name} is {value}",
                    rule="A tolerance is a finite number of zero or more.",
                )

    @property
    def explicit(self) -> bool:
        """Whether numpy's rule applies."""
        return self.atol is not None or self.rtol is not None

    def __str__(self) -> str:
        if self.explicit:
            return f"atol {self.atol or 0:g}, rtol {self.rtol or 0:g}"
        return f"{self.of_largest:g} of the output's largest value"


@dataclass(frozen=True)
class OutputComparison:
    """How one output differs from the reference.

    Attributes:
        name: the output's name.
        passed: whether it is within the tolerance.
        reason: why it is not; empty when it passed.
        elems: number of elements.
        largest: largest magnitude of the reference.
        max_abs: largest absolute difference.
        max_rel: largest difference relative to the expected element (infinite where that is zero).
        mean_abs: mean absolute difference.
        of_largest: ``max_abs / largest``, what the default tolerance bounds.
        worst_index: where the largest difference is.
        worst_actual: the value there.
        worst_expected: the reference's value there.
        passing_atol: the least ``atol`` that passes with the given ``rtol`` (or none).
        passing_rtol: the least ``rtol`` that passes with the given ``atol`` (or none).
    """

    name: str
    passed: bool
    reason: str
    elems: int = 0
    largest: float = 0.0
    max_abs: float = 0.0
    max_rel: float = 0.0
    mean_abs: float = 0.0
    of_largest: float = 0.0
    worst_index: tuple[int, ...] = ()
    worst_actual: float = 0.0
    worst_expected: float = 0.0
    passing_atol: float = 0.0
    passing_rtol: float = 0.0


def compare(
    actual: Mapping[str, Array], expected: Mapping[str, Array], tolerance: Tolerance
) -> tuple[OutputComparison, ...]:
    """Compare every output of the reference, in its order; outputs it lacks fail too."""
    results = []
    for name, reference in expected.items():
        if name in actual:
            results.append(compare_output(name, actual[name], reference, tolerance))
        else:
            results.append(OutputComparison(name, False, "the output is missing"))
    for name in actual:
        if name not in expected:
            results.append(OutputComparison(name, False, "the reference has no such output"))
    return tuple(results)


def compare_output(
    name: str, actual: Array, expected: Array, tolerance: Tolerance
) -> OutputComparison:
    """Compare one output.

    Args:
        name: its name, for the report.
        actual: what was computed.
        expected: what the reference computed.
        tolerance: how far they may differ.
    """
    if actual.dtype != expected.dtype:
        reason = f"its element type is {actual.dtype}, the reference's {expected.dtype}"
        return OutputComparison(name, False, reason)
    if actual.shape != expected.shape:
        reason = f"its shape is {list(actual.shape)}, the reference's {list(expected.shape)}"
        return OutputComparison(name, False, reason)
    if expected.size == 0:
        return OutputComparison(name, True, "")
    wide_actual = np.asarray(actual, dtype=np.float64)
    wide_expected = np.asarray(expected, dtype=np.float64)
    for owner, values in (("it", wide_actual), ("the reference", wide_expected)):
        unbounded = np.argwhere(~np.isfinite(values))
        if unbounded.size:
            index = tuple(int(i) for i in unbounded[0])
            reason = (
                f"{owner} holds {values[index]} at {list(index)} ({len(unbounded)} such values)"
            )
            return OutputComparison(name, False, reason, elems=int(expected.size))
    return _compare_finite(
        name, wide_actual, wide_expected, tolerance, exact=expected.dtype.kind != "f"
    )


def _compare_finite(
    name: str, actual: Array, expected: Array, tolerance: Tolerance, *, exact: bool
) -> OutputComparison:
    """Compare two finite float64 arrays of one shape."""
    difference = np.abs(actual - expected)
    magnitude = np.abs(expected)
    largest, max_abs = float(magnitude.max()), float(difference.max())
    atol, rtol = tolerance.atol or 0.0, tolerance.rtol or 0.0
    if tolerance.explicit:
        limit = atol + rtol * magnitude
    else:
        limit = np.full_like(magnitude, 0.0 if exact else tolerance.of_largest * largest)
    outside = difference > limit
    # Shown is the element that breaks the rule by most; with the default rule, the largest one.
    worst = np.unravel_index(int(np.argmax(difference - limit)), difference.shape)
    reason = ""
    if outside.any():
        rule = "equality" if exact and not tolerance.explicit else str(tolerance)
        reason = f"{int(outside.sum())} of {expected.size} elements are outside {rule}"
    return OutputComparison(
        name=name,
        passed=not outside.any(),
        reason=reason,
        elems=int(expected.size),
        largest=largest,
        max_abs=max_abs,
        max_rel=_largest_ratio(difference, magnitude),
        mean_abs=float(difference.mean()),
        of_largest=_ratio(max_abs, largest),
        worst_index=tuple(int(i) for i in worst),
        worst_actual=float(actual[worst]),
        worst_expected=float(expected[worst]),
        passing_atol=max(0.0, float((difference - rtol * magnitude).max())),
        passing_rtol=_largest_ratio(np.maximum(difference - atol, 0.0), magnitude),
    )


def _ratio(part: float, whole: float) -> float:
    if part == 0.0:
        return 0.0
    return part / whole if whole else math.inf


def _largest_ratio(part: Array, whole: Array) -> float:
    """The largest ``part / whole``, where 0 / 0 counts as 0 and x / 0 as infinite."""
    if bool(np.any((whole == 0) & (part > 0))):
        return math.inf
    return float(np.divide(part, whole, out=np.zeros_like(part), where=whole != 0).max())
