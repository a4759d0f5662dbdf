"""Rule: sums of products whose operands are read many times (convolution, matmul, einsum)."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import depends_on, loads_in, nodes_in
from edgewright.schedules.rules.flatten import split_axes
from edgewright.schedules.rules.fuse_stages import fold_epilogues, inline_producers
from edgewright.schedules.rules.groups import group_stages
from edgewright.schedules.rules.nests import build_function
from edgewright.schedules.rules.stages import Stage, read_program
from edgewright.spec.target import Target

__all__ = ["is_contraction", "schedule_contraction"]


def schedule_contraction(func: Any, target: Target) -> Any | str:
    """The scheduled function, or why the rule does not apply."""
    program = read_program(func)
    if program is None:
        return "not a sequence of plain stages"
    if not any(is_contraction(stage) for stage in program.stages):
        return "no sum of products with operands to reuse"
    program = fold_epilogues(inline_producers(program))
    return build_function(func, program, group_stages(program, is_contraction), target)


def is_contraction(stage: Stage) -> bool:
    """Whether it sums products of two operands, each the same along an axis of the other."""
    if not stage.reduction or not isinstance(stage.values[0], tirx.Add):
        return False
    if not nodes_in(stage.values[0], tirx.Mul):
        return False
    stage = split_axes(stage)
    spatial = [axis.var for axis in stage.spatial if axis.extent > 1]
    used = [
        {var for var in spatial if any(depends_on(index, [var]) for index in load.indices)}
        for load in loads_in(stage.values[0])
        if load.source not in stage.outputs
    ]
    return any(left - right and right - left for left in used for right in used)
