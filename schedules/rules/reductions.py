"""Schedule of a reduction stage: a register tile of accumulators.

Before::

    for i, j: for k: out[i, j] = combine(out[i, j], f(i, j, k))

After, with vectors over a spatial axis ``j`` and ``tile_rows`` of ``i`` that share what depends on
``j`` alone::

    parallel i_outer: for j_outer:
        acc[row][column] = init                                vectors, in registers
        for k: acc[row][column] = combine(acc[row][column], f)
        out[i_outer + row, j_outer + column] = acc[row][column]

or, with vectors over the reduction axis itself, as ``lane_reductions`` shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgewright.schedules.rules.algebra import substitute
from edgewright.schedules.rules.cells import (
    Cell,
    allocate,
    new_cell,
    offset_point,
    reduction_loops,
    stored_vector,
)
from edgewright.schedules.rules.flatten import merge_axes, split_axes
from edgewright.schedules.rules.lane_reductions import reduce_over_lanes
from edgewright.schedules.rules.loops import Block, Tile, vector, widths
from edgewright.schedules.rules.reduction_tile import ReductionTile, choose_tile
from edgewright.schedules.rules.stages import Axis, Stage

__all__ = ["ReductionPlan", "plan_reduction"]


@dataclass(frozen=True)
class ReductionPlan:
    """A reduction's loops: ``tiles`` outside, ``leaf`` inside."""

    stage: Stage
    tiles: tuple[Tile, ...]
    tile: ReductionTile
    lanes: int

    def leaf(self, block: Block) -> list[Any]:
        """Accumulates and stores one block."""
        if self.tile.lane_axis is not None:
            return reduce_over_lanes(self.stage, self.tile, self.lanes, dict(block.base))
        return _reduce_columns(self.stage, self.tile, self.lanes, block)


def plan_reduction(stage: Stage, lanes: int, registers: int) -> ReductionPlan:
    """Choose the loops of a reduction over flat buffers.

    Args:
        stage: the reduction.
        lanes: float32 elements of a vector.
        registers: vectors that the accumulators and operands may take.
    """
    stage = merge_axes(split_axes(stage))
    tile = choose_tile(stage, lanes, registers)
    sizes: dict[Axis, int] = {}
    if tile.row_axis is not None:
        sizes[tile.row_axis] = tile.tile_rows
    if tile.column_axis is not None:
        sizes[tile.column_axis] = min(tile.tile_columns * lanes, tile.column_axis.extent)
    order = [axis for axis in stage.spatial if axis not in sizes] + list(sizes)
    return ReductionPlan(stage, tuple(Tile(a, sizes.get(a, 1)) for a in order), tile, lanes)


def _reduce_columns(stage: Stage, tile: ReductionTile, lanes: int, block: Block) -> list[Any]:
    """One block of rows and vector columns (or of a single scalar)."""
    column, row = tile.column_axis, tile.row_axis
    pieces = widths(block.width[column.var], lanes) if column is not None else [(0, 1)]
    cells = [
        new_cell(
            stage,
            offset_point(offset_point(dict(block.base), row, r), column, offset),
            width,
            f"acc{r}_{offset}",
        )
        for r in range(block.width[row.var] if row is not None else 1)
        for offset, width in pieces
    ]

    def at(cell: Cell, lane: Any, reduced: dict[Any, Any]) -> dict[Any, Any]:
        point = {**cell.point, **reduced}
        if column is not None:
            point[column.var] = point[column.var] + lane
        return point

    def started(cell: Cell, k: int) -> Any:
        init = (stage.inits or ())[k]
        return stored_vector(
            cell.registers[k], cell.width, lambda lane: substitute(init, at(cell, lane, {}))
        )

    def combined(cell: Cell, reduced: dict[Any, Any]) -> Any:
        return vector(cell.width, lambda lane: cell.combined(at(cell, lane, reduced), lane))

    def finished(cell: Cell) -> Any:
        return vector(cell.width, lambda lane: cell.finished(at(cell, lane, {}), lane))

    def step(reduced: dict[Any, Any]) -> list[Any]:
        return [combined(cell, reduced) for cell in cells]

    return [
        *allocate(cells),
        *(started(cell, k) for cell in cells for k in range(len(stage.outputs))),
        *reduction_loops(stage.reduction, step),
        *(finished(cell) for cell in cells),
    ]
