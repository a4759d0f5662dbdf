"""Calls of transcendental functions become straight-line code that vectorises.

``exp``, ``log``, ``tanh``, ``sigmoid`` and ``erf`` take the forms of
:mod:`edgewright.schedules.vector_forms`. Besides them:

1. ``pow`` with the exponents 2, 3, ½, ¼, ¾ (of local response normalisation) and 1½: products and
   square roots. Other exponents call the C library.
2. ``sinh``, ``cosh``, ``asin``, ``acos``, ``asinh``, ``acosh``, ``atanh``: calls of the C
   library, one a lane. TVM 0.27 does not lower these at all.

NaN gives NaN everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tvm_ffi
from tvm import ir, tirx

from edgewright.schedules import vector_forms
from edgewright.schedules.rules.algebra import IF_THEN_ELSE, loads_in
from edgewright.schedules.vector_forms import Arithmetic, Form

__all__ = ["VECTOR_FORMS", "vectorize_math"]

_LARGEST = 3.4028234e38


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
        return self.let(form(self.let(argument), Arithmetic(self.let)))

    def _constant_power(self, call: Any) -> Form | None:
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


def _number(value: float) -> Any:
    return tirx.FloatImm("float32", value)


def _square(x: Any, ops: Arithmetic) -> Any:
    return x * x


def _cube(x: Any, ops: Arithmetic) -> Any:
    return x * x * x


def _of_root(power: Form) -> Form:
    """A power of the square root of x; of −∞ it is +∞, as ``pow`` has it, and not NaN."""

    def form(x: Any, ops: Arithmetic) -> Any:
        positive = ops.let(tirx.Select(x < _number(-_LARGEST), -x, x))
        return power(ops.let(tirx.sqrt(positive)), ops)

    return form


def _libm(name: str) -> Form:
    return lambda x, ops: tirx.call_pure_extern("float32", name, x)


#: Exponent to the function that makes x to that power.
_POWERS: dict[float, Form] = {
    2.0: _square,
    3.0: _cube,
    0.5: _of_root(lambda root, ops: root),
    0.75: _of_root(lambda root, ops: root * ops.let(tirx.sqrt(root))),
    0.25: _of_root(lambda root, ops: tirx.sqrt(root)),
    1.5: _of_root(lambda root, ops: root * root * root),
}

#: Operator to the function that makes its form from the argument.
VECTOR_FORMS: dict[str, Form] = {
    "tirx.exp": vector_forms.exp,
    "tirx.log": vector_forms.log,
    "tirx.tanh": vector_forms.tanh,
    "tirx.sigmoid": vector_forms.sigmoid,
    "tirx.erf": vector_forms.erf,
    **{
        f"tirx.{name}": _libm(f"{name}f")
        for name in ("sinh", "cosh", "asin", "acos", "asinh", "acosh", "atanh")
    },
}
