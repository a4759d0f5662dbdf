"""Conditions on indices: where padding, concatenation and slices change from one branch to another.

A vector cannot branch per lane, so the contiguous axis is split where a condition on it changes;
within each segment the condition is a constant and disappears.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tvm_ffi
from tvm import ir, tirx

from edgewright.schedules.rules.algebra import (
    IF_THEN_ELSE,
    Coefficients,
    bounds,
    const,
    depends_on,
    int_value,
    loads_in,
    nodes_in,
    simplify,
    substitute,
)
from edgewright.schedules.rules.stages import Axis, Stage, buffer_elems

__all__ = ["branches_on", "fold_conditions", "segments", "select_where_safe"]

_HOLDS: dict[type, Callable[[int, int], bool]] = {
    tirx.LT: operator.lt,
    tirx.LE: operator.le,
    tirx.GT: operator.gt,
    tirx.GE: operator.ge,
    tirx.EQ: operator.eq,
    tirx.NE: operator.ne,
}
_COMPARISONS = tuple(_HOLDS)
#: More segments than this cost more code than their branches cost time.
_MOST_SEGMENTS = 6


def _is_branch(node: Any) -> bool:
    return getattr(node.op, "name", "") == IF_THEN_ELSE


def branches_on(expr: Any, var: Any) -> bool:
    """Whether ``expr`` holds an ``if_then_else`` whose condition depends on ``var``."""
    return any(
        _is_branch(call) and depends_on(call.args[0], [var]) for call in nodes_in(expr, ir.Call)
    )


def fold_conditions(expr: Any, extents: dict[Any, int]) -> Any:
    """``expr`` with comparisons of indices that never change replaced by their value."""

    def compare(node: Any) -> Any:
        if loads_in(node) or not str(node.a.ty.dtype).startswith("int"):
            return node
        folded = simplify(node, extents)
        return folded if int_value(folded) is not None else node

    def logic(node: Any) -> Any:
        folded = simplify(node, {})
        return folded if int_value(folded) is not None else node

    def both(node: Any) -> Any:
        left, right = int_value(node.a), int_value(node.b)
        if left is None and right is None:
            return node
        unit = 1 if isinstance(node, tirx.And) else 0
        if left is not None:
            return node.b if left == unit else node.a
        return node.a if right == unit else node.b

    def branch(node: Any) -> Any:
        value = int_value(node.args[0]) if _is_branch(node) else None
        if value is not None:
            return node.args[1] if value else node.args[2]
        return node

    def select(node: Any) -> Any:
        value = int_value(node.condition)
        return node if value is None else (node.true_value if value else node.false_value)

    rules = [
        (_COMPARISONS, compare),
        ((tirx.And, tirx.Or), both),
        (tirx.Not, logic),
        (ir.Call, branch),
        (tirx.Select, select),
    ]
    return tvm_ffi.structural_map(expr, rules)


def select_where_safe(stage: Stage, axis: Axis) -> Stage:
    """Turn branches that depend on ``axis`` into selections where both sides may be computed.

    Both sides may be computed where every load is in bounds for every point of the stage.
    """

    def branch(node: Any) -> Any:
        if not _is_branch(node) or not depends_on(node.args[0], [axis.var]):
            return node
        if not all(_in_bounds(load, stage.extents) for load in loads_in(node)):
            return node
        return tirx.Select(node.args[0], node.args[1], node.args[2])

    return stage.rewritten(lambda expr: tvm_ffi.structural_map(expr, [(ir.Call, branch)]))


def _in_bounds(load: Any, extents: dict[Any, int]) -> bool:
    index = load.indices[0]
    if loads_in(index):
        return False
    low, high = bounds(index, extents)
    return low >= 0 and high < buffer_elems(load.source)


def segments(stage: Stage, axis: Axis) -> list[tuple[int, Stage]]:
    """Split ``axis`` where conditions on it change: (start, stage over the segment), in order.

    A segment's stage runs its axis from 0; the start is already added to it. One segment, the stage
    itself, where there is nothing to split or too much.
    """
    cuts = {0, axis.extent}
    for value in stage.values:
        for node in nodes_in(value, _COMPARISONS):
            cuts.update(_change_points(node, axis))
    starts = sorted(cut for cut in cuts if 0 <= cut <= axis.extent)
    if len(starts) - 1 > _MOST_SEGMENTS:
        return [(0, stage)]
    found: list[tuple[int, Stage]] = []
    for start, stop in itertools.pairwise(starts):
        axes = tuple(replace(a, extent=stop - start) if a == axis else a for a in stage.axes)
        shifted = stage.rewritten(
            lambda expr, start=start: substitute(expr, {axis.var: axis.var + const(start)})
        )
        moved = replace(shifted, axes=axes)
        extents = moved.extents
        found.append(
            (start, moved.rewritten(lambda e, extents=extents: fold_conditions(e, extents)))
        )
    return found


def _change_points(node: Any, axis: Axis) -> Sequence[int]:
    """Values of the axis at which a comparison that is linear in it alone may change."""
    if loads_in(node) or not str(node.a.ty.dtype).startswith("int"):
        return ()
    difference = node.a - node.b
    slope = Coefficients().of(difference, axis.var)
    if not slope:
        return ()
    at_zero = int_value(simplify(substitute(difference, {axis.var: const(0)}), {}))
    if at_zero is None:
        return ()
    root = -at_zero // slope
    compare = _HOLDS[type(node)]
    return [
        point
        for point in (root, root + 1)
        if compare(slope * (point - 1) + at_zero, 0) != compare(slope * point + at_zero, 0)
    ]
