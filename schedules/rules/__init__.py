"""Schedules for every operator that has no kernel of our own.

A rule claims a function and returns it scheduled, or says why it does not apply; the first that
claims wins. All rules keep one contract (``contract.py``): the root block's body is a sequence of
top-level ``parallel`` loops, intermediates are allocated at the root, and nothing of 1 KB or more
is allocated inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from edgewright.schedules.rules.contraction import schedule_contraction
from edgewright.schedules.rules.elementwise import schedule_elementwise
from edgewright.schedules.rules.extremes import with_infinite_extremes
from edgewright.schedules.rules.legalize import legalize_map
from edgewright.schedules.rules.opaque import schedule_opaque
from edgewright.schedules.rules.reduction import schedule_reduction
from edgewright.schedules.rules.stages import with_dense_params
from edgewright.schedules.rules.vector_math import vectorize_math
from edgewright.spec.target import Target

__all__ = [
    "RULES",
    "Scheduled",
    "ask_rules",
    "legalize_map",
    "schedule_prim_func",
    "vectorize_math",
]

_Where = TypeVar("_Where")

#: A rule: the scheduled function, or a clause that says why the function is not its own.
Rule = Callable[[Any, Target], "Any | str"]

#: In the order in which they are asked.
RULES: tuple[tuple[str, Rule], ...] = (
    ("elementwise", schedule_elementwise),
    ("contraction", schedule_contraction),
    ("reduction", schedule_reduction),
    ("opaque", schedule_opaque),
)


@dataclass(frozen=True)
class Scheduled:
    """A function that keeps the contract.

    Attributes:
        func: the ``tirx.PrimFunc``, with the parameters and attributes of the one it was made from.
        rule: name of the rule that claimed it.
        declined: ``rule: why`` of each rule asked before.
    """

    func: Any
    rule: str
    declined: tuple[str, ...]


def schedule_prim_func(func: Any, target: Target) -> Scheduled:
    """Schedule a legalized, fused function for a CPU.

    Args:
        func: an unscheduled ``tirx.PrimFunc`` of static shapes.
        target: the core.

    Returns:
        The scheduled function. The last rule claims everything.
    """
    claimed = ask_rules(RULES, func, target)
    return replace(claimed, func=claimed.func.with_body(vectorize_math(claimed.func.body)))


def ask_rules(
    rules: Sequence[tuple[str, Callable[[Any, _Where], Any | str]]], func: Any, where: _Where
) -> Scheduled:
    """The answer of the first rule that claims a function.

    Args:
        rules: names and rules, of which the last claims everything.
        func: an unscheduled ``tirx.PrimFunc`` of static shapes.
        where: what the rules schedule for, a core or a GPU.
    """
    func = with_infinite_extremes(with_dense_params(func))
    declined: list[str] = []
    for name, rule in rules:
        answer = rule(func, where)
        if not isinstance(answer, str):
            return Scheduled(answer, name, tuple(declined))
        declined.append(f"{name}: {answer}")
    raise AssertionError("the last rule claims everything")
