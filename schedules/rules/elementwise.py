"""Rule: functions without a reduction (elementwise, transpose, concat, pad, slice, gather)."""

from __future__ import annotations

from typing import Any

from edgewright.schedules.rules.fuse_stages import inline_producers
from edgewright.schedules.rules.groups import group_stages
from edgewright.schedules.rules.index_tables import hoist_index_tables
from edgewright.schedules.rules.nests import build_function
from edgewright.schedules.rules.stages import read_program
from edgewright.spec.target import Target

__all__ = ["schedule_elementwise"]


def schedule_elementwise(func: Any, target: Target) -> Any | str:
    """The scheduled function, or why the rule does not apply."""
    program = read_program(func)
    if program is None:
        return "not a sequence of plain stages"
    if any(stage.reduction for stage in program.stages):
        return "has a reduction"
    program = hoist_index_tables(inline_producers(program))
    return build_function(func, program, group_stages(program, lambda stage: False), target)
