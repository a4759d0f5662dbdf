"""Rule of last resort: functions that are no sequence of plain stages (scatter, scan, sort)."""

from __future__ import annotations

from typing import Any

from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import const, variable
from edgewright.schedules.rules.nests import rebuilt
from edgewright.spec.target import Target

__all__ = ["schedule_opaque"]


def schedule_opaque(func: Any, target: Target) -> Any | str:
    """Keep the loops as they are, and put a parallel one around each top-level statement."""
    task = variable("task")
    return rebuilt(func, [tirx.For(task, const(0), const(1), tirx.ForKind.PARALLEL, func.body)], [])
