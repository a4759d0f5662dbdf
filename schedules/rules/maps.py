"""Schedule of a stage without reduction.

Before::

    for i, j: out[i, j] = f(x[i, j])

After, with the contiguous axis ``j`` in vectors and its conditions gone (see ``conditions``)::

    parallel i:
        for j_outer: vector j_inner: out[i, j] = f(x[i, j])
        vector tails of halving width
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import Coefficients, const, substitute
from edgewright.schedules.rules.conditions import branches_on, segments, select_where_safe
from edgewright.schedules.rules.flatten import merge_axes
from edgewright.schedules.rules.loops import Block, Tile, serial, vector, widths
from edgewright.schedules.rules.stages import Axis, Stage

__all__ = ["MapPlan", "plan_map"]

#: Elements of the contiguous axis in one block, where that axis alone must give the parallel tasks.
_CHUNK_ELEMS = 4096
#: Side of the square in which a transposition walks its two axes, in elements: one cache line.
_TRANSPOSE_TILE = 16


@dataclass(frozen=True)
class MapPlan:
    """A map's loops: ``tiles`` outside, ``leaf`` inside."""

    stage: Stage
    tiles: tuple[Tile, ...]
    axis: Axis | None
    lanes: int

    def leaf(self, block: Block) -> list[Any]:
        """Stores of one block."""
        wide = [a for a in self.stage.axes if a != self.axis and block.width[a.var] > 1]
        if wide:
            var = wide[0].var
            first = block.base[var]
            return [
                serial(
                    f"{var.name}_inner",
                    block.width[var],
                    lambda step: self.leaf(block.extended(wide[0], first + step, 1)),
                )
            ]
        if self.axis is None:
            return _stores(self.stage, dict(block.base))
        width = block.width[self.axis.var]
        if width != self.axis.extent:
            return _pieces(self.stage, self.axis, width, self.lanes, block)
        statements: list[Any] = []
        for _, segment in segments(self.stage, self.axis):
            inner = next(a for a in segment.axes if a.var.same_as(self.axis.var))
            statements += _pieces(segment, inner, inner.extent, self.lanes, block)
        return statements


def plan_map(stage: Stage, lanes: int) -> MapPlan:
    """Choose the loops of a map over flat buffers."""
    stage = merge_axes(stage)
    axis = _contiguous_axis(stage)
    if axis is None:
        return MapPlan(stage, tuple(Tile(a) for a in stage.axes), None, lanes)
    stage = select_where_safe(stage, axis)
    others = [Tile(a) for a in stage.axes if a != axis]
    if len(segments(stage, axis)) > 1:
        return MapPlan(stage, (*others, Tile(axis, axis.extent)), axis, lanes)
    across = _transposed_axis(stage, axis)
    if across is not None:
        tiles = [Tile(t.axis, _TRANSPOSE_TILE) if t.axis == across else t for t in others]
        return MapPlan(stage, (*tiles, Tile(axis, _TRANSPOSE_TILE)), axis, lanes)
    return MapPlan(stage, (*others, Tile(axis, min(axis.extent, _CHUNK_ELEMS))), axis, lanes)


def _contiguous_axis(stage: Stage) -> Axis | None:
    coefficients = Coefficients()
    index = stage.store_indices[0]
    return next((a for a in reversed(stage.axes) if coefficients.of(index, a.var) == 1), None)


def _transposed_axis(stage: Stage, axis: Axis) -> Axis | None:
    """An axis along which a load is contiguous that jumps along the store's contiguous axis."""
    coefficients = Coefficients()
    for load in stage.loads:
        along = coefficients.of(load.indices[0], axis.var)
        if along is None or along < _TRANSPOSE_TILE:
            continue
        for other in stage.axes:
            if coefficients.of(load.indices[0], other.var) == 1 and other.extent > 1:
                return other
    return None


def _pieces(stage: Stage, axis: Axis, width: int, lanes: int, block: Block) -> list[Any]:
    """Full vectors in a loop, then the tail; scalars where a branch depends on the axis."""
    if any(branches_on(value, axis.var) for value in stage.values):
        lanes = 1

    def at(offset: Any, vec_width: int) -> Any:
        start = block.base[axis.var] + offset
        return vector(
            vec_width, lambda lane: _stores(stage, {**block.base, axis.var: start + lane})
        )

    full = width // lanes
    statements: list[Any] = []
    if full:
        name = f"{axis.var.name}_outer"
        statements.append(serial(name, full, lambda step: [at(step * const(lanes), lanes)]))
    statements += [at(const(offset), w) for offset, w in widths(width, lanes)[full:]]
    return statements


def _stores(stage: Stage, point: dict[Any, Any]) -> list[Any]:
    index = substitute(stage.indices[0], point)
    return [
        tirx.BufferStore(output, substitute(value, point), [index])
        for output, value in zip(stage.outputs, stage.values, strict=True)
    ]
