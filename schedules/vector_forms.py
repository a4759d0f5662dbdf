"""Transcendental functions of float32, one element or a vector of them, as straight-line code.

LLVM has no vector form of these: each lane becomes a call of ``expf``, ``erff`` and so on. The
forms here select instead of branching, use nothing beyond single-precision arithmetic and integer
shifts, and give the same bits on every core that has or lacks a fused multiply-add, up to its
rounding.

1. ``exp``: 2ⁿ · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, ln 2 in two parts (Cody and Waite,
   *Software Manual for the Elementary Functions*, 1980); e^r = 1 + r + r² q(r), where q has the
   least relative error of its degree (3.6e-9, by Lawson's reweighting against mpmath). 2ⁿ is
   applied in two halves, so that overflow gives ∞ and results below 2⁻¹²⁶ become denormal (or 0
   where the core flushes denormals, as 32-bit NEON does).
2. ``log``: x = m · 2ᵉ with √½ ≤ m < √2; polynomial of Cephes ``logf``. log 0 = −∞, log of a
   negative number is NaN.
3. ``tanh``: odd polynomial of Cephes ``tanhf`` below 0.625, 1 − 2 / (e^{2|x|} + 1) above.
4. ``sigmoid``: 1 / (1 + e^{−x}).
5. ``erf``: odd polynomial below 0.9277, 1 − e^{q(|x|)} above; both fitted for least relative
   (absolute) error by iteratively reweighted least squares against mpmath.

NaN gives NaN everywhere. Measured against float64 over the whole range, the error is below 1.0 unit
in the last place for ``exp`` and ``log``, 1.4 for ``tanh`` and ``erf``, 2.6 for ``sigmoid``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx

__all__ = [
    "Arithmetic",
    "Form",
    "clamp",
    "erf",
    "exp",
    "exp_of_bounded",
    "like",
    "log",
    "sigmoid",
    "tanh",
]

_EXP_LOW, _EXP_HIGH = -104.0, 89.0
#: Where 2ⁿ stays one float32: n = -127 makes its bits those of 0, n = 128 those of infinity.
_BOUNDED_LOW, _BOUNDED_HIGH = -88.02, 88.72284
_LOG2_E = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
#: Adding 1.5 * 2^23 rounds a float32 to an integer, which then stands in the low bits.
_ROUND_TO_INT, _ROUND_TO_INT_BITS = 12582912.0, 0x4B400000
_ONE_BITS, _ALL_BUT_SIGN, _SIGN = 0x3F800000, 0x7FFFFFFF, -0x80000000
#: q of e^r = 1 + r + r² q(r), lowest power first.
_EXP = (
    *(0.4999999403953552, 0.1666652113199234, 0.04166838899254799),
    *(0.00836874544620514, 0.0013814540579915047),
)
_LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1),
    *(-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1),
    *(2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
_TANH_SMALL, _TANH_ONE = 0.625, 10.0
_TANH = (
    *(-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2),
    *(1.33314422036e-1, -3.33332819422e-1),
)
_ERF_SMALL, _ERF_ONE = 0.9277, 4.0
_ERF = (
    *(-0.0005964387091808021, 0.004988036584109068, -0.026763152331113815),
    *(0.11281722038984299, -0.37612485885620117, 0.12837915122509003),
)
_ERF_TAIL = (
    *(0.00019407348008826375, -0.0030250742565840483, 0.02215520292520523),
    *(-0.10378417372703552, -0.6373485922813416, -1.1275779008865356),
    -0.0002190848026657477,
)
_SQRT_HALF_BITS, _SMALLEST_NORMAL, _LARGEST = 0x3F3504F3, 1.17549435e-38, 3.4028234e38
_DENORMAL_LIFT, _DENORMAL_LIFT_POWER = 8388608.0, 23


class Arithmetic:
    """How a form computes: this one suits every core; a kernel's own picks better instructions.

    Args:
        let: names a value, so that it is computed once.
    """

    def __init__(self, let: Callable[[Any], Any]) -> None:
        self._let = let

    def let(self, value: Any) -> Any:
        """``value`` under a name."""
        return self._let(value)

    def multiply_add(self, left: Any, right: Any, total: Any) -> Any:
        """``total + left * right``."""
        return left * right + total

    def maximum(self, bound: Any, value: Any) -> Any:
        """``max(bound, value)``; NaN in ``value``, which compares false, stays NaN."""
        return tirx.Select(value < bound, bound, value)

    def minimum(self, bound: Any, value: Any) -> Any:
        """``min(bound, value)``; NaN in ``value`` stays NaN."""
        return tirx.Select(value > bound, bound, value)

    def reciprocal(self, value: Any) -> Any:
        """``1 / value`` for values from 1 to infinity, or NaN."""
        return like(1.0, value) / value


#: Makes a function of a named argument.
Form = Callable[[Any, Arithmetic], Any]


def like(value: float, x: Any) -> Any:
    """A float32 constant with as many lanes as ``x``."""
    return _spread(tirx.FloatImm("float32", value), x)


def _integer(value: int, x: Any) -> Any:
    return _spread(tirx.IntImm("int32", value), x)


def _spread(scalar: Any, x: Any) -> Any:
    lanes = _lanes(x)
    return tirx.Broadcast(scalar, lanes) if lanes > 1 else scalar


def _lanes(x: Any) -> int:
    return int(x.ty.dtype.lanes)


def _type(name: str, x: Any) -> str:
    lanes = _lanes(x)
    return f"{name}x{lanes}" if lanes > 1 else name


def _bits(x: Any) -> Any:
    return tirx.reinterpret(_type("int32", x), x)


def _from_bits(n: Any) -> Any:
    return tirx.reinterpret(_type("float32", n), n)


def _horner(x: Any, coefficients: Sequence[float], ops: Arithmetic) -> Any:
    """A polynomial, highest power first."""
    total: Any = like(coefficients[0], x)
    for coefficient in coefficients[1:]:
        total = ops.multiply_add(total, x, like(coefficient, x))
    return total


def clamp(x: Any, low: float, high: float, ops: Arithmetic) -> Any:
    """``min(max(x, low), high)``, named."""
    return ops.let(ops.minimum(like(high, x), ops.let(ops.maximum(like(low, x), x))))


def _power_of_two(n: Any) -> Any:
    """2^n as float32, for an int32 within the exponent's range."""
    return _from_bits(tirx.shift_left(n + _integer(127, n), _integer(23, n)))


def exp(argument: Any, ops: Arithmetic) -> Any:
    """e^x."""
    x = clamp(argument, _EXP_LOW, _EXP_HIGH, ops)
    shifted = _rounded(x, ops)
    power = ops.let(_bits(shifted) - _integer(_ROUND_TO_INT_BITS, x))
    half = ops.let(tirx.shift_right(power, _integer(1, x)))
    return _mantissa(x, shifted, ops) * _power_of_two(half) * _power_of_two(power - half)


def exp_of_bounded(argument: Any, ops: Arithmetic, high: float = _BOUNDED_HIGH) -> Any:
    """e^min(x, high) in fewer steps: 0 below 2⁻¹²⁶, and infinite from e^88.38 = 2^127.5 on."""
    return _exp_inside(clamp(argument, _BOUNDED_LOW, high, ops), ops)


def _exp_inside(x: Any, ops: Arithmetic) -> Any:
    """e^x for x within the bounds of :func:`exp_of_bounded`, or NaN."""
    shifted = _rounded(x, ops)
    # The shift drops the bits of what was added to round.
    raised = tirx.shift_left(_bits(shifted), _integer(23, x)) + _integer(_ONE_BITS, x)
    return _mantissa(x, shifted, ops) * _from_bits(raised)


def _rounded(x: Any, ops: Arithmetic) -> Any:
    """The quotient x / ln 2, rounded to an integer that stands in the low bits."""
    return ops.let(ops.multiply_add(x, like(_LOG2_E, x), like(_ROUND_TO_INT, x)))


def _mantissa(x: Any, shifted: Any, ops: Arithmetic) -> Any:
    """e^r for r = x - n * ln 2; ``shifted`` must be named, or TVM would cancel the addition."""
    n = ops.let(shifted - like(_ROUND_TO_INT, x))
    high = ops.let(ops.multiply_add(n, like(-_LN2_HIGH, x), x))
    r = ops.let(ops.multiply_add(n, like(-_LN2_LOW, x), high))
    square = ops.let(r * r)
    q0, q1, q2, q3, q4 = (like(coefficient, x) for coefficient in _EXP)
    # Estrin's scheme: half the wait of Horner's, and fewer copies of constants on NEON.
    tail = ops.multiply_add(q4, square, ops.multiply_add(q3, r, q2))
    tail = ops.multiply_add(tail, square, ops.multiply_add(q1, r, q0))
    return ops.multiply_add(tail, square, r) + like(1.0, x)


def log(x: Any, ops: Arithmetic) -> Any:
    """The natural logarithm."""
    # Not named: TVM 0.27 fails on a bound vector of bool.
    denormal = x < like(_SMALLEST_NORMAL, x)
    lifted = tirx.Select(denormal, x * like(_DENORMAL_LIFT, x), x)
    bits = ops.let(_bits(lifted))
    exponent = ops.let(tirx.shift_right(bits - _integer(_SQRT_HALF_BITS, x), _integer(23, x)))
    mantissa = _from_bits(bits - tirx.shift_left(exponent, _integer(23, x)))
    f = ops.let(mantissa - like(1.0, x))
    lift = tirx.Select(denormal, _integer(_DENORMAL_LIFT_POWER, x), _integer(0, x))
    n = ops.let(tirx.Cast(_type("float32", x), exponent - lift))
    square = ops.let(f * f)
    tail = _horner(f, _LOG, ops) * f * square + n * like(_LN2_LOW, x)
    value = f + (tail - like(0.5, x) * square) + n * like(_LN2_HIGH, x)
    infinite = tirx.Select(x > like(_LARGEST, x), x, value)
    of_zero = tirx.Select(x.equal(like(0.0, x)), like(-float("inf"), x), infinite)
    # Neither a negative number nor NaN is >= 0.
    return tirx.Select(x >= like(0.0, x), of_zero, like(float("nan"), x))


def _absolute(x: Any) -> Any:
    return _from_bits(_bits(x) & _integer(_ALL_BUT_SIGN, x))


def _odd(x: Any, small: Any, large: Any, is_small: Any) -> Any:
    """``small``, or the positive ``large`` with the sign of ``x``."""
    signed = _from_bits(_bits(large) | (_bits(x) & _integer(_SIGN, x)))
    return tirx.Select(is_small, small, signed)


def tanh(x: Any, ops: Arithmetic) -> Any:
    """The hyperbolic tangent."""
    size, square = ops.let(_absolute(x)), ops.let(x * x)
    small = ops.multiply_add(_horner(square, _TANH, ops) * square, x, x)
    # Beyond this tanh is 1 in float32.
    bounded = ops.let(ops.minimum(like(_TANH_ONE, x), size))
    power = ops.let(_exp_inside(ops.let(bounded * like(2.0, x)), ops))
    gap = ops.reciprocal(ops.let(power + like(1.0, x)))
    large = ops.let(ops.multiply_add(gap, like(-2.0, x), like(1.0, x)))
    return _odd(x, small, large, size < like(_TANH_SMALL, x))


def sigmoid(x: Any, ops: Arithmetic) -> Any:
    """1 / (1 + e^-x)."""
    power = exp_of_bounded(ops.let(-x), ops)
    return ops.reciprocal(ops.let(like(1.0, x) + power))


def erf(x: Any, ops: Arithmetic) -> Any:
    """The error function."""
    size, square = ops.let(_absolute(x)), ops.let(x * x)
    small = ops.multiply_add(_horner(square, _ERF, ops), x, x)
    # Beyond this 1 - erf is below half a unit in the last place.
    bounded = ops.let(ops.minimum(like(_ERF_ONE, x), size))
    power = _exp_inside(ops.let(_horner(bounded, _ERF_TAIL, ops)), ops)
    large = ops.let(like(1.0, x) - power)
    return _odd(x, small, large, size < like(_ERF_SMALL, x))
