"""Groups of stages to top-level parallel loops, and those to a function.

The contract of every function this package returns: the root block's body is a sequence of loops,
each ``parallel``; buffers passed between them are allocated at the root; nothing of 1 KB or more
is allocated inside a parallel loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import Coefficients
from edgewright.schedules.rules.flatten import Flat, bind_axes, flatten
from edgewright.schedules.rules.groups import Group
from edgewright.schedules.rules.loops import Block, Tile, parallel_nest, tile_loops
from edgewright.schedules.rules.maps import MapPlan, plan_map
from edgewright.schedules.rules.reductions import ReductionPlan, plan_reduction
from edgewright.schedules.rules.stages import Axis, Program, Stage, buffer_elems
from edgewright.spec.target import Target

__all__ = ["build_function", "rebuilt"]

#: Enough tasks to keep eight cores evenly busy.
_TASKS = 64
#: Points a task should at least have: some ten microseconds, what it costs to wake a thread.
_TASK_POINTS = 8192


def build_function(func: Any, program: Program, groups: Sequence[Group], target: Target) -> Any:
    """The scheduled function: one parallel nest for each group."""
    flat = flatten(program)
    nests = [_nest(flat, group, target) for group in groups]
    return rebuilt(func, nests, flat.intermediates)


def rebuilt(func: Any, nests: Sequence[Any], intermediates: Sequence[Any]) -> Any:
    """``func`` with another body; its parameters and attributes stay."""
    body = nests[0] if len(nests) == 1 else tirx.SeqStmt(list(nests))
    block = s_tir.SBlock([], [], [], "root", body, alloc_buffers=list(intermediates))
    return func.with_body(s_tir.SBlockRealize([], tirx.const(True, "bool"), block))


def _plan(stage: Stage, target: Target) -> MapPlan | ReductionPlan:
    lanes, registers = target.isa.vec_lanes, target.isa.vec_registers
    if stage.reduction:
        return plan_reduction(stage, lanes, registers - 2)
    return plan_map(stage, lanes)


def _nest(flat: Flat, group: Group, target: Target) -> Any:
    stages = flat.stages[group.first : group.first + len(group.stages)]
    prologue = _views(flat, stages)
    if len(stages) == 1:
        plan = _plan(stages[0], target)
        fused = _tiles_to_fuse(plan.tiles, plan.stage.points)
        return parallel_nest(plan.tiles, fused, plan.leaf, prologue)
    shared = _task_axes(group, stages)
    tiles = [Tile(axes[0]) for axes in shared]

    def leaf(block: Block) -> list[Any]:
        statements: list[Any] = []
        for member, stage in enumerate(stages):
            values = {axes[member].var: block.base[axes[0].var] for axes in shared}
            plan = _plan(bind_axes(stage, values), target)
            statements += tile_loops(plan.tiles, plan.leaf)
        return statements

    return parallel_nest(tiles, len(tiles), leaf, prologue)


def _views(flat: Flat, stages: Sequence[Stage]) -> list[Any]:
    """Declarations of the one-dimensional views of the parameters that the stages use."""
    used = {load.source for stage in stages for load in stage.loads}
    used |= {buffer for stage in stages for buffer in stage.written}
    return [
        tirx.DeclBuffer(view, data=tirx.buffer_data(param))
        for param, view in flat.views.items()
        if view in used
    ]


def _tiles_to_fuse(tiles: Sequence[Tile], points: int) -> int:
    """How many outer tiles make the parallel loop: enough tasks, none of them tiny."""
    wanted = min(_TASKS, max(1, points // _TASK_POINTS))
    tasks, fused = 1, 0
    while fused < len(tiles) and tasks < wanted:
        tasks *= tiles[fused].count
        fused += 1
    return fused


def _task_axes(group: Group, stages: Sequence[Stage]) -> list[tuple[Axis, ...]]:
    """Shared axes that give the tasks; the one that vectors run along is left to them."""
    largest = max(range(len(stages)), key=lambda i: stages[i].points)
    stage = stages[largest]
    along = _vector_axis(stage)
    chosen: list[tuple[Axis, ...]] = []
    for axes in group.shared:
        if math.prod(a[0].extent for a in chosen) >= _TASKS:
            break
        if axes[largest] != along:
            chosen.append(axes)
    return chosen


def _vector_axis(stage: Stage) -> Axis | None:
    """The axis along which the largest operand is contiguous."""
    coefficients = Coefficients()
    for load in sorted(stage.loads, key=lambda load: -buffer_elems(load.source)):
        for axis in stage.axes:
            if axis.extent > 1 and coefficients.of(load.indices[0], axis.var) == 1:
                return axis
    return None
