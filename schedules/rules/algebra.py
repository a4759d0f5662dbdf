"""Questions about, and rewrites of, scalar TIR expressions.

Everything is pure: no function changes its argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tvm_ffi
from tvm import ir, sym, tirx

__all__ = [
    "IF_THEN_ELSE",
    "Coefficients",
    "bounds",
    "calls_in",
    "const",
    "depends_on",
    "divided",
    "greatest",
    "int_value",
    "least",
    "loads_in",
    "nodes_in",
    "remainder",
    "replace_loads",
    "simplify",
    "substitute",
    "variable",
    "without_lets",
]

#: Name of the operator that computes only the branch it takes.
IF_THEN_ELSE = "prim.if_then_else"


def const(value: int, dtype: str = "int64") -> Any:
    """An integer constant; indices are ``int64`` throughout."""
    return tirx.IntImm(dtype, value)


def least(dtype: str) -> Any:
    """What every number of a type is at least: minus infinity, not TVM's smallest finite one."""
    return tirx.const(-math.inf, dtype) if "float" in dtype else tirx.min_value(dtype)


def greatest(dtype: str) -> Any:
    """What every number of a type is at most."""
    return tirx.const(math.inf, dtype) if "float" in dtype else tirx.max_value(dtype)


def variable(name: str) -> Any:
    """A fresh ``int64`` loop variable; a variable is never used by two loops."""
    return tirx.Var(name, "int64")


def int_value(expr: Any) -> int | None:
    """The value of an integer constant, or None for anything else."""
    return int(expr.value) if isinstance(expr, tirx.IntImm) else None


def substitute(expr: Any, values: Mapping[Any, Any]) -> Any:
    """``expr`` with variables replaced by expressions of the same dtype."""
    if not values:
        return expr
    return tvm_ffi.structural_map(expr, [(ir.Var, lambda var: values.get(var, var))])


def without_lets(expr: Any) -> Any:
    """``expr`` with each ``Let`` expanded: a copied ``Let`` would define its variable twice."""

    def expand(let: Any) -> Any:
        return substitute(let.body, {let.var: let.value})

    return tvm_ffi.structural_map(expr, [(tirx.Let, expand)])


def replace_loads(expr: Any, replacement: Callable[[Any], Any]) -> Any:
    """``expr`` with every buffer load passed through ``replacement``, innermost first.

    ``replacement`` returns the load itself to leave it.
    """
    return tvm_ffi.structural_map(expr, [(ir.TensorLoad, replacement)])


def nodes_in(expr: Any, kinds: type | tuple[type, ...]) -> list[Any]:
    """Every node of the given kinds, with repeats, innermost first."""
    found: list[Any] = []
    tvm_ffi.structural_walk(expr, [(kinds, lambda node: found.append(node))])
    return found


def loads_in(expr: Any) -> list[Any]:
    """Every buffer load, with repeats; ``.source`` is the buffer, ``.indices`` its indices."""
    return nodes_in(expr, ir.TensorLoad)


def calls_in(expr: Any) -> list[str]:
    """Names of the operators called, such as ``tirx.exp``."""
    return [getattr(call.op, "name", "") for call in nodes_in(expr, ir.Call)]


def depends_on(expr: Any, variables: Iterable[Any]) -> bool:
    """Whether any of ``variables`` occurs in ``expr``."""
    wanted = set(variables)
    return any(var in wanted for var in nodes_in(expr, ir.Var))


class Coefficients:
    """Linear coefficients of index expressions, remembered per (expression, variable).

    ``of(e, v)`` is the integer c where ``e = c * v + (something without v)``, or None.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, Any], tuple[Any, int | None]] = {}

    def of(self, expr: Any, var: Any) -> int | None:
        """The coefficient of ``var`` in ``expr``; 0 where it does not occur, None if not linear."""
        key = (id(expr), var)
        # The expression is kept beside its answer, so that its id is not taken by another object.
        if key not in self._known or self._known[key][0] is not expr:
            self._known[key] = (expr, _coefficient(expr, var))
        return self._known[key][1]


def _coefficient(expr: Any, var: Any) -> int | None:
    if not depends_on(expr, [var]):
        return 0
    found = sym.detect_linear_equation(expr, [var])
    return int_value(found[0]) if len(found) == 2 else None


def _analyzer(extents: Mapping[Any, int]) -> Any:
    analyzer = sym.Analyzer()
    for var, extent in extents.items():
        analyzer.bind(var, ir.Range(const(0), const(extent)))
    return analyzer


def simplify(expr: Any, extents: Mapping[Any, int]) -> Any:
    """``expr`` simplified, given that each variable runs over [0, extent)."""
    return _analyzer(extents).simplify(expr, 4)


def bounds(expr: Any, extents: Mapping[Any, int]) -> tuple[int, int]:
    """Inclusive bounds of an integer expression, possibly wider than what it reaches."""
    bound = _analyzer(extents).const_int_bound(expr)
    return int(bound.min_value), int(bound.max_value)


def divided(expr: Any, by: int) -> Any:
    """``expr // by`` for a non-negative expression."""
    return expr if by == 1 else tirx.FloorDiv(expr, const(by))


def remainder(expr: Any, by: int) -> Any:
    """``expr % by`` for a non-negative expression."""
    return tirx.FloorMod(expr, const(by))
