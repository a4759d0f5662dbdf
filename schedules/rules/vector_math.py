"""Transcendental functions as float32 polynomials that vectorise.

LLVM has no vector form of these: each lane becomes a call of ``expf``, ``erff`` and so on. The forms here
are straight-line (a select instead of a branch), use nothing beyond single-precision arithmetic and
integer shifts, and give the same bits on every core that has or lacks a fused multiply-add, up to its
rounding.

1. ``exp``: 2ⁿ · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, ln 2 in two parts (Cody and Waite,
   *Software Manual for the Elementary Functions*, 1980); polynomial of Cephes ``expf``. 2ⁿ is applied in
   two halves, so that overflow gives ∞ and results below 2⁻¹²⁶ become denormal (or 0 where the core
   flushes denormals, as 32-bit NEON does).
2. ``log``: x = m · 2ᵉ with √½ ≤ m < √2; polynomial of Cephes ``logf``. log 0 = −∞, log of a negative
   number is NaN.
3. ``tanh``: odd polynomial of Cephes ``tanhf`` below 0.625, 1 − 2 / (e^{2|x|} + 1) above.
4. ``sigmoid``: 1 / (1 + e^{−x}).
5. ``erf``: odd polynomial below 0.9277, 1 − e^{q(|x|)} above; both fitted for least relative (absolute)
   error by iteratively reweighted least squares against mpmath.
6. ``sinh``, ``cosh``, ``asin``, ``acos``, ``asinh``, ``acosh``, ``atanh``: the C library, which TVM 0.27 fails to lower to.

NaN gives NaN everywhere. Measured against mpmath over the whole range, the error is at most 2 units in
the last place (4 for ``sigmoid`` where the result is below 2⁻²⁴).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tvm_ffi
from tvm import ir, tirx

__all__ = ["VECTOR_FORMS", "vectorize_math"]

_EXP_LOW, _EXP_HIGH = -104.0, 89.0
_LOG2_E = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
#: Adding 1.5 * 2^23 rounds a float32 to an integer, which then stands in the low bits.
_ROUND_TO_INT, _ROUND_TO_INT_BITS = 12582912.0, 0x4B400000
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1)
_EXP = (*_EXP, 5.0000001201e-1)
_LOG = (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1)
_LOG = (*_LOG, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
_TANH_SMALL = 0.625
_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
_ERF_SMALL, _ERF_ONE = 0.9277, 4.0
_ERF = (-0.0005964387091808021, 0.004988036584109068, -0.026763152331113815, 0.11281722038984299)
_ERF = (*_ERF, -0.37612485885620117, 0.12837915122509003)
_ERF_TAIL = (0.00019407348008826375, -0.0030250742565840483, 0.02215520292520523)
_ERF_TAIL = (*_ERF_TAIL, -0.10378417372703552, -0.6373485922813416, -1.1275779008865356)
_ERF_TAIL = (*_ERF_TAIL, -0.0002190848026657477)
_SQRT_HALF_BITS, _SMALLEST_NORMAL = 0x3F3504F3, 1.17549435e-38


def vectorize_math(expr: Any) -> Any:
    """Replace calls on float32 in an expression or statement by their vector forms.

    Calls on other types, and functions without a form, are left.
    """

    def rewrite(call: Any) -> Any:
        form = VECTOR_FORMS.get(getattr(call.op, "name", ""))
        if form is None or str(call.ty.dtype) != "float32":
            return call
        return form(call.args[0])

    return tvm_ffi.structural_map(expr, [(ir.Call, rewrite)])


def _number(value: float) -> Any:
    return tirx.FloatImm("float32", value)


def _integer(value: int) -> Any:
    return tirx.IntImm("int32", value)


def _let(value: Any, body: Callable[[Any], Any]) -> Any:
    """``body`` of a variable that holds ``value``, computed once."""
    var = tirx.Var("t", str(value.ty.dtype))
    return tirx.Let(var, value, body(var))


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's form, highest power first."""
    total: Any = _number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + _number(coefficient)
    return total


def _power_of_two(n: Any) -> Any:
    """2^n as float32, for an int32 within the exponent's range."""
    return tirx.reinterpret("float32", tirx.shift_left(n + _integer(127), _integer(23)))


def _clamped(x: Any, low: float, high: float) -> Any:
    """``x`` within bounds; NaN stays NaN, since it compares false."""
    below = tirx.Select(x < _number(low), _number(low), x)
    return _let(below, lambda b: tirx.Select(b > _number(high), _number(high), b))


def _exp(argument: Any) -> Any:
    def scaled(x: Any, shifted: Any) -> Any:
        n = shifted - _number(_ROUND_TO_INT)
        power = tirx.reinterpret("int32", shifted) - _integer(_ROUND_TO_INT_BITS)
        return _let(n, lambda n: _let(power, lambda p: reduced(x, n, p)))

    def reduced(x: Any, n: Any, power: Any) -> Any:
        r = x - n * _number(_LN2_HIGH) - n * _number(_LN2_LOW)
        half = tirx.shift_right(power, _integer(1))
        return _let(
            r,
            lambda r: _let(
                half,
                lambda h: (_polynomial(r, _EXP) * (r * r) + r + _number(1.0))
                * _power_of_two(h)
                * _power_of_two(power - h),
            ),
        )

    def rounded(x: Any) -> Any:
        shifted = x * _number(_LOG2_E) + _number(_ROUND_TO_INT)
        return _let(shifted, lambda s: scaled(x, s))

    return _let(_clamped(argument, _EXP_LOW, _EXP_HIGH), rounded)


def _log(argument: Any) -> Any:
    def of(x: Any) -> Any:
        denormal = x < _number(_SMALLEST_NORMAL)
        lifted = tirx.Select(denormal, x * _number(8388608.0), x)
        bits = tirx.reinterpret("int32", lifted)
        return _let(bits, lambda b: split(x, b, tirx.Select(denormal, _integer(23), _integer(0))))

    def split(x: Any, bits: Any, lift: Any) -> Any:
        exponent = tirx.shift_right(bits - _integer(_SQRT_HALF_BITS), _integer(23))

        def mantissa(e: Any) -> Any:
            m = tirx.reinterpret("float32", bits - tirx.shift_left(e, _integer(23)))
            return _let(m - _number(1.0), lambda f: assembled(x, f, e - lift))

        return _let(exponent, mantissa)

    def assembled(x: Any, f: Any, exponent: Any) -> Any:
        def sum_up(n: Any) -> Any:
            tail = _polynomial(f, _LOG) * f * (f * f) + n * _number(_LN2_LOW)
            value = f + (tail - _number(0.5) * (f * f)) + n * _number(_LN2_HIGH)
            infinite = tirx.Select(x > _number(3.4028234e38), x, value)
            of_zero = tirx.Select(x.equal(_number(0.0)), _number(-float("inf")), infinite)
            # A negative number, or NaN, is not >= 0.
            return tirx.Select(x >= _number(0.0), of_zero, _number(float("nan")))

        return _let(tirx.Cast("float32", exponent), sum_up)

    return _let(argument, of)


def _with_sign_of(x: Any, magnitude: Any) -> Any:
    return _let(magnitude, lambda m: tirx.Select(x < _number(0.0), -m, m))


def _absolute(x: Any) -> Any:
    return tirx.Select(x < _number(0.0), -x, x)


def _tanh(argument: Any) -> Any:
    def of(x: Any) -> Any:
        return _let(_absolute(x), lambda a: _let(x * x, lambda z: joined(x, a, z)))

    def joined(x: Any, a: Any, z: Any) -> Any:
        small = _polynomial(z, _TANH) * z * x + x
        large = _number(1.0) - _number(2.0) / (_exp(a * _number(2.0)) + _number(1.0))
        return tirx.Select(a < _number(_TANH_SMALL), small, _with_sign_of(x, large))

    return _let(argument, of)


def _sigmoid(argument: Any) -> Any:
    return _number(1.0) / (_number(1.0) + _exp(-argument))


def _erf(argument: Any) -> Any:
    def of(x: Any) -> Any:
        return _let(_absolute(x), lambda a: _let(x * x, lambda z: joined(x, a, z)))

    def joined(x: Any, a: Any, z: Any) -> Any:
        small = _polynomial(z, _ERF) * x + x
        # Beyond this 1 - erf is below half a unit in the last place.
        bounded = tirx.Select(a > _number(_ERF_ONE), _number(_ERF_ONE), a)
        large = _let(bounded, lambda b: _number(1.0) - _exp(_polynomial(b, _ERF_TAIL)))
        return tirx.Select(a < _number(_ERF_SMALL), small, _with_sign_of(x, large))

    return _let(argument, of)


def _libm(name: str) -> Callable[[Any], Any]:
    return lambda x: tirx.call_pure_extern("float32", name, x)


#: Operator to the function that makes its form from the argument.
VECTOR_FORMS: dict[str, Callable[[Any], Any]] = {
    "tirx.exp": _exp,
    "tirx.log": _log,
    "tirx.tanh": _tanh,
    "tirx.sigmoid": _sigmoid,
    "tirx.erf": _erf,
    **{
        f"tirx.{name}": _libm(f"{name}f")
        for name in ("sinh", "cosh", "asin", "acos", "asinh", "acosh", "atanh")
    },
}
