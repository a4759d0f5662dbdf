"""Which stages share one parallel loop.

Softmax's maximum, exponential, sum and quotient all run over the same rows. Where every stage of
a group has an axis that means the same index in each buffer passed between them, one task can run
all of them for its share of that axis: one launch instead of four, and rows stay in the nearest
cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.schedules.rules.stages import Axis, Program, Stage

__all__ = ["Group", "group_stages"]

#: A group must offer at least this many tasks …
_LEAST_TASKS = 8
#: … unless all its work is less than this many points: about the price of a launch.
_SMALL_POINTS = 1 << 15
#: Stages of less work than this share a task even if neither reads the other.
_TINY_POINTS = 1 << 12


@dataclass(frozen=True)
class Group:
    """Consecutive stages under one parallel loop.

    Attributes:
        first: position of the first stage in the program.
        stages: the stages.
        shared: for each shared axis, that axis in each stage; outermost first.
    """

    first: int
    stages: tuple[Stage, ...]
    shared: tuple[tuple[Axis, ...], ...]


def group_stages(program: Program, alone: Callable[[Stage], bool]) -> list[Group]:
    """Cut the program into groups, greedily.

    Args:
        program: with producers inlined.
        alone: whether a stage is better scheduled on its own (a contraction's register tile needs
            its axes).
    """
    groups: list[Group] = []
    for position, stage in enumerate(program.stages):
        if groups and not alone(stage):
            last = groups[-1]
            stages = (*last.stages, stage)
            points = sum(member.points for member in stages)
            joined = _connected(stages) or points <= _TINY_POINTS
            if joined and not any(alone(member) for member in last.stages):
                shared = shared_axes(stages)
                tasks = math.prod(axes[0].extent for axes in shared)
                if tasks >= _LEAST_TASKS or points <= _SMALL_POINTS:
                    groups[-1] = Group(last.first, stages, shared)
                    continue
        groups.append(Group(position, (stage,), ()))
    return groups


def _connected(stages: Sequence[Stage]) -> bool:
    """Whether the last stage reads what another of them writes."""
    written = [buffer for stage in stages[:-1] for buffer in stage.written]
    return any(load.source in written for load in stages[-1].loads)


def shared_axes(stages: Sequence[Stage]) -> tuple[tuple[Axis, ...], ...]:
    """Axes that all stages share, each as one axis of each stage, in the last stage's order."""
    found: list[tuple[Axis, ...]] = []
    for seed in stages[-1].spatial:
        axes = _same_axis(stages, seed)
        if axes is not None and seed.extent > 1:
            found.append(axes)
    return tuple(found)


def _same_axis(stages: Sequence[Stage], seed: Axis) -> tuple[Axis, ...] | None:
    """``seed`` of the last stage, followed through the buffers between the stages.

    None unless every stage has such an axis, and each buffer passed on is read at the index that
    the same task wrote.
    """
    chosen: dict[int, Axis] = {len(stages) - 1: seed}
    links = [
        (writer, reader, load)
        for reader, stage in enumerate(stages)
        for load in stage.loads
        for writer, other in enumerate(stages)
        if any(load.source.same_as(buffer) for buffer in other.written)
    ]
    changed = True
    while changed:
        changed = False
        for writer, reader, load in links:
            if reader in chosen and writer not in chosen:
                axis = _written_axis(stages[writer], load, chosen[reader])
            elif writer in chosen and reader not in chosen:
                axis = _read_axis(stages[writer], stages[reader], load, chosen[writer])
            else:
                continue
            if axis is None:
                return None
            chosen[writer if reader in chosen else reader] = axis
            changed = True
    if len(chosen) != len(stages):
        return None
    for writer, reader, load in links:
        axis = _written_axis(stages[writer], load, chosen[reader])
        if axis is None or axis != chosen[writer]:
            return None
    return tuple(chosen[i] for i in range(len(stages)))


def _written_axis(writer: Stage, load: Any, axis: Axis) -> Axis | None:
    """The writer's axis at the dimension that the load indexes with ``axis`` alone."""
    by_var = {a.var: a for a in writer.spatial}
    for written, read in zip(writer.store_indices, load.indices, strict=True):
        if read.same_as(axis.var) and written in by_var and by_var[written].extent == axis.extent:
            return by_var[written]
    return None


def _read_axis(writer: Stage, reader: Stage, load: Any, axis: Axis) -> Axis | None:
    """The reader's axis at the dimension that the writer indexes with ``axis`` alone."""
    by_var = {a.var: a for a in reader.spatial}
    for written, read in zip(writer.store_indices, load.indices, strict=True):
        if written.same_as(axis.var) and read in by_var and by_var[read].extent == axis.extent:
            return by_var[read]
    return None
