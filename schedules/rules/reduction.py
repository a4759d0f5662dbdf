"""Rule: functions with reductions (sum, mean, softmax, norms, argmax, pooling)."""

from __future__ import annotations

from typing import Any

from edgewright.schedules.rules.fuse_stages import fold_epilogues, inline_producers
from edgewright.schedules.rules.groups import group_stages
from edgewright.schedules.rules.index_tables import hoist_index_tables
from edgewright.schedules.rules.nests import build_function
from edgewright.schedules.rules.stages import read_program
from edgewright.spec.target import Target

__all__ = ["schedule_reduction"]


def schedule_reduction(func: Any, target: Target) -> Any | str:
    """The scheduled function, or why the rule does not apply."""
    program = read_program(func)
    if program is None:
        return "not a sequence of plain stages"
    program = hoist_index_tables(fold_epilogues(inline_producers(program)))
    return build_function(func, program, group_stages(program, lambda stage: False), target)
