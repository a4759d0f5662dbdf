"""Transcendental functions as float32 polynomials that vectorise.

LLVM has no vector form of these: each lane becomes a call of ``expf``, ``erff`` and so on. The
forms here are straight-line (a select instead of a branch), use nothing beyond single-precision
arithmetic and integer shifts, and give the same bits on every core that has or lacks a fused
multiply-add, up to its rounding.

1. ``exp``: 2ⁿ · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, ln 2 in two parts (Cody and Waite,
   *Software Manual for the Elementary Functions*, 1980); polynomial of Cephes ``expf``. 2ⁿ is
   applied in two halves, so that overflow gives ∞ and results below 2⁻¹²⁶ become denormal (or 0
   where the core flushes denormals, as 32-bit NEON does).
2. ``log``: x = m · 2ᵉ with √½ ≤ m < √2; polynomial of Cephes ``logf``. log 0 = −∞, log of a
   negative number is NaN.
3. ``tanh``: odd polynomial of Cephes ``tanhf`` below 0.625, 1 − 2 / (e^{2|x|} + 1) above.
4. ``sigmoid``: 1 / (1 + e^{−x}).
5. ``erf``: odd polynomial below 0.9277, 1 − e^{q(|x|)} above; both fitted for least relative
   (absolute) error by iteratively reweighted least squares against mpmath.
6. ``pow`` with the exponents 2, 3, ½, ¼, ¾ (of local response normalisation) and 1½: products and
   square roots. Other exponents call the C library.
7. ``sinh``, ``cosh``, ``asin``, ``acos``, ``asinh``, ``acosh``, ``atanh``: calls of the C
   library, one a lane. TVM 0.27 does not lower these at all.

NaN gives NaN everywhere. Measured against float64 over the whole range, the error is below 1.0 unit
in the last place for ``exp`` and ``log``, 1.3 for ``tanh`` and ``erf``, 2.5 for ``sigmoid``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tvm_ffi
from tvm import ir, tirx

from edgewright.schedules.rules.algebra import IF_THEN_ELSE, loads_in

__all__ = ["VECTOR_FORMS", "vectorize_math"]

_EXP_LOW, _EXP_HIGH = -104.0, 89.0
_LOG2_E = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
#: Adding 1.5 * 2^23 rounds a float32 to an integer, which then stands in the low bits.
_ROUND_TO_INT, _ROUND_TO_INT_BITS = 12582912.0, 0x4B400000
_EXP = (
    *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3),
    *(4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
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


def vectorize_math(statement: Any) -> Any:
    """Replace calls on float32 in the stores of a statement by their vector forms.

    Before::

        vector lane: y[lane] = exp(x[lane]) * s

    After::

        t0, t1, … = registers
        vector lane:
            t0[lane] = x[lane]; t1[lane] = clamp(t0[lane]); …; y[lane] = (polynomial of t5[lane])
            * s

    Calls on other types, and functions without a form, are left.
    """
    return _Rewriter().rewritten(statement)


class _Rewriter:
    """Walks statements, and knows the vector loop it is in."""

    def __init__(self) -> None:
        self._scope: _Scope | None = None

    def rewritten(self, statement: Any) -> Any:
        """The statement with calls expanded."""
        callbacks = [
            (tirx.For, self._loop),
            ((tirx.BufferStore, tirx.Bind), self._store),
            (tirx.SeqStmt, self._sequence),
        ]
        return tvm_ffi.structural_mutate(statement, callbacks)

    def _loop(self, loop: Any, mutator: Any) -> Any:
        if loop.kind != tirx.ForKind.VECTORIZED:
            return mutator.default_mutate(loop)
        self._scope = scope = _Scope(loop.loop_var, int(loop.extent))
        body = mutator.mutate(loop.body)
        self._scope = None
        if not scope.registers:
            return loop
        vector = tirx.For(loop.loop_var, loop.min, loop.extent, loop.kind, body)
        return tirx.SeqStmt([*scope.allocations, vector])

    def _store(self, node: Any, _mutator: Any) -> Any:
        scope = self._scope or _Scope(tirx.IntImm("int64", 0), 1)
        value = scope.rewrite(node.value)
        steps = scope.taken_steps()
        if not steps:
            return node
        if isinstance(node, tirx.Bind):
            final: Any = tirx.Bind(node.var, value)
        else:
            final = tirx.BufferStore(node.buffer, value, list(node.indices))
        allocations = [] if self._scope else scope.allocations
        return tirx.SeqStmt([*allocations, *steps, final])

    def _sequence(self, node: Any, mutator: Any) -> Any:
        # Flat, since a bound variable is visible to the end of its own sequence only.
        statements: list[Any] = []
        for part in node.seq:
            new = mutator.mutate(part)
            statements.extend(new.seq if isinstance(new, tirx.SeqStmt) else [new])
        return tirx.SeqStmt(statements)


class _Scope:
    """Straight-line code that precedes a store, and the registers it keeps its values in.

    Values are named by storing them to local buffers, which LLVM keeps in registers. ``Let`` and
    ``Bind`` would be shorter, but TVM's simplifier looks through them, takes time exponential in
    their depth, and rearranges floating point across them.
    """

    def __init__(self, lane: Any, width: int) -> None:
        self._lane, self._width = lane, width
        self.registers: list[Any] = []
        self._steps: list[Any] = []
        self._guards: list[Any] = []

    @property
    def allocations(self) -> list[Any]:
        """Statements that allocate the registers."""
        return [tirx.AllocBuffer(register) for register in self.registers]

    def taken_steps(self) -> list[Any]:
        """The code so far, which is then forgotten."""
        steps, self._steps = self._steps, []
        return steps

    def let(self, value: Any) -> Any:
        """A load of a new register that holds ``value``."""
        name = f"t{len(self.registers)}"
        register = tirx.decl_buffer((self._width,), str(value.ty.dtype), name)
        self.registers.append(register)
        self._steps.append(tirx.BufferStore(register, value, [self._lane]))
        return tirx.BufferLoad(register, [self._lane])

    def rewrite(self, expr: Any) -> Any:
        """``expr`` with calls expanded, innermost first."""
        return tvm_ffi.structural_mutate(expr, [(ir.Call, self._call), (tirx.Let, self._leave)])

    def _leave(self, node: Any, _mutator: Any) -> Any:
        return node

    def _call(self, call: Any, mutator: Any) -> Any:
        name = getattr(call.op, "name", "")
        if name == IF_THEN_ELSE:
            return self._branch(call, mutator)
        form = self._constant_power(call) if name == "tirx.pow" else VECTOR_FORMS.get(name)
        if form is None or str(call.ty.dtype) != "float32":
            return mutator.default_mutate(call)
        argument = mutator.mutate(call.args[0])
        if loads_in(argument):
            # The code runs ahead of the branches around the call: their guards go with its loads.
            for guard in reversed(self._guards):
                argument = tirx.if_then_else(guard, argument, _number(0.0))
        return self.let(form(self.let(argument), self.let))

    def _constant_power(self, call: Any) -> Callable[[Any, Let], Any] | None:
        """The form of ``pow`` for this exponent, if it has one."""
        exponent = call.args[1]
        return _POWERS.get(float(exponent.value)) if isinstance(exponent, tirx.FloatImm) else None

    def _branch(self, call: Any, mutator: Any) -> Any:
        condition, true_value, false_value = call.args
        condition = mutator.mutate(condition)
        with self._guarded(condition):
            true_value = mutator.mutate(true_value)
        with self._guarded(tirx.Not(condition)):
            false_value = mutator.mutate(false_value)
        return tirx.if_then_else(condition, true_value, false_value)

    @contextmanager
    def _guarded(self, condition: Any) -> Iterator[None]:
        self._guards.append(condition)
        yield
        self._guards.pop()


#: Names a value, so that it is computed once.
Let = Callable[[Any], Any]


def _number(value: float) -> Any:
    return tirx.FloatImm("float32", value)


def _integer(value: int) -> Any:
    return tirx.IntImm("int32", value)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's form, highest power first."""
    total: Any = _number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + _number(coefficient)
    return total


def _power_of_two(n: Any) -> Any:
    """2^n as float32, for an int32 within the exponent's range."""
    return tirx.reinterpret("float32", tirx.shift_left(n + _integer(127), _integer(23)))


def _exp(argument: Any, let: Let) -> Any:
    # Bounds by selection: NaN compares false, and stays.
    below = let(tirx.Select(argument < _number(_EXP_LOW), _number(_EXP_LOW), argument))
    x = let(tirx.Select(below > _number(_EXP_HIGH), _number(_EXP_HIGH), below))
    shifted = let(x * _number(_LOG2_E) + _number(_ROUND_TO_INT))
    # Through the bits: TVM simplifies (x + c) - c to x in floating point too.
    power = let(tirx.reinterpret("int32", shifted) - _integer(_ROUND_TO_INT_BITS))
    half = let(tirx.shift_right(power, _integer(1)))
    return _mantissa(x, power, let) * _power_of_two(half) * _power_of_two(power - half)


def _exp_of_bounded(x: Any, let: Let) -> Any:
    """e^x for |x| <= 87 or NaN, where 2ⁿ needs no halves."""
    shifted = let(x * _number(_LOG2_E) + _number(_ROUND_TO_INT))
    power = let(tirx.reinterpret("int32", shifted) - _integer(_ROUND_TO_INT_BITS))
    return _mantissa(x, power, let) * _power_of_two(power)


def _mantissa(x: Any, power: Any, let: Let) -> Any:
    """e^r for r = x - power * ln 2."""
    n = let(tirx.Cast("float32", power))
    r = let(x - n * _number(_LN2_HIGH) - n * _number(_LN2_LOW))
    return _polynomial(r, _EXP) * (r * r) + r + _number(1.0)


def _log(x: Any, let: Let) -> Any:
    # Not named: TVM 0.27 fails on a bound vector of bool.
    denormal = x < _number(_SMALLEST_NORMAL)
    lifted = tirx.Select(denormal, x * _number(_DENORMAL_LIFT), x)
    bits = let(tirx.reinterpret("int32", lifted))
    exponent = let(tirx.shift_right(bits - _integer(_SQRT_HALF_BITS), _integer(23)))
    mantissa = tirx.reinterpret("float32", bits - tirx.shift_left(exponent, _integer(23)))
    f = let(mantissa - _number(1.0))
    lift = tirx.Select(denormal, _integer(_DENORMAL_LIFT_POWER), _integer(0))
    n = let(tirx.Cast("float32", exponent - lift))
    square = let(f * f)
    tail = _polynomial(f, _LOG) * f * square + n * _number(_LN2_LOW)
    value = f + (tail - _number(0.5) * square) + n * _number(_LN2_HIGH)
    infinite = tirx.Select(x > _number(_LARGEST), x, value)
    of_zero = tirx.Select(x.equal(_number(0.0)), _number(-float("inf")), infinite)
    # Neither a negative number nor NaN is >= 0.
    return tirx.Select(x >= _number(0.0), of_zero, _number(float("nan")))


def _absolute(x: Any) -> Any:
    return tirx.Select(x < _number(0.0), -x, x)


def _odd(x: Any, small: Any, large: Any, is_small: Any) -> Any:
    """``small``, or ``large`` with the sign of ``x``."""
    return tirx.Select(is_small, small, tirx.Select(x < _number(0.0), -large, large))


def _tanh(x: Any, let: Let) -> Any:
    size, square = let(_absolute(x)), let(x * x)
    small = _polynomial(square, _TANH) * square * x + x
    # Beyond this tanh is 1 in float32.
    bounded = tirx.Select(size > _number(_TANH_ONE), _number(_TANH_ONE), size)
    power = let(_exp_of_bounded(let(bounded * _number(2.0)), let))
    large = let(_number(1.0) - _number(2.0) / (power + _number(1.0)))
    return _odd(x, small, large, size < _number(_TANH_SMALL))


def _sigmoid(x: Any, let: Let) -> Any:
    return _number(1.0) / (_number(1.0) + _exp(let(-x), let))


def _erf(x: Any, let: Let) -> Any:
    size, square = let(_absolute(x)), let(x * x)
    small = _polynomial(square, _ERF) * x + x
    # Beyond this 1 - erf is below half a unit in the last place.
    bounded = let(tirx.Select(size > _number(_ERF_ONE), _number(_ERF_ONE), size))
    large = let(_number(1.0) - _exp_of_bounded(let(_polynomial(bounded, _ERF_TAIL)), let))
    return _odd(x, small, large, size < _number(_ERF_SMALL))


def _square(x: Any, let: Let) -> Any:
    return x * x


def _cube(x: Any, let: Let) -> Any:
    return x * x * x


def _of_root(power: Callable[[Any, Let], Any]) -> Callable[[Any, Let], Any]:
    """A power of the square root of x; of −∞ it is +∞, as ``pow`` has it, and not NaN."""

    def form(x: Any, let: Let) -> Any:
        positive = let(tirx.Select(x < _number(-_LARGEST), -x, x))
        return power(let(tirx.sqrt(positive)), let)

    return form


def _libm(name: str) -> Callable[[Any, Let], Any]:
    return lambda x, let: tirx.call_pure_extern("float32", name, x)


#: Exponent to the function that makes x to that power.
_POWERS: dict[float, Callable[[Any, Let], Any]] = {
    2.0: _square,
    3.0: _cube,
    0.5: _of_root(lambda root, let: root),
    0.75: _of_root(lambda root, let: root * let(tirx.sqrt(root))),
    0.25: _of_root(lambda root, let: tirx.sqrt(root)),
    1.5: _of_root(lambda root, let: root * root * root),
}

#: Operator to the function that makes its form from the argument.
VECTOR_FORMS: dict[str, Callable[[Any, Let], Any]] = {
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
