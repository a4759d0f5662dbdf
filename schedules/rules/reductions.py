"""Schedule of a reduction stage: a register tile of accumulators.

Before::

    for i, j: for k: out[i, j] = combine(out[i, j], f(i, j, k))

Lanes over a spatial axis ``j`` (``tile_rows`` of ``i`` share what depends on ``j`` alone)::

    parallel i_outer: for j_outer:
        acc[row][column] = init                                vectors, in registers
        for k: acc[row][column] = combine(acc[row][column], f)
        out[i_outer + row, j_outer + column] = acc[row][column]

Lanes over the contiguous reduction axis ``k``::

    parallel i: for j:
        acc[c] = identity                                      vectors, in registers
        for k_outer: vector k: acc[c] = combine(acc[c], f)
        out[i, j] = init combined with all lanes
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import ir, tirx

from edgewright.schedules.rules.algebra import (
    const,
    loads_in,
    replace_loads,
    substitute,
)
from edgewright.schedules.rules.flatten import merge_axes, split_axes
from edgewright.schedules.rules.loops import Block, Tile, serial, vector, widths
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
            return _over_lanes(self.stage, self.tile, self.lanes, block)
        return _over_columns(self.stage, self.tile, self.lanes, block)


def plan_reduction(stage: Stage, lanes: int, registers: int) -> ReductionPlan:
    """Choose the loops of a reduction over flat buffers."""
    stage = merge_axes(split_axes(stage))
    tile = choose_tile(stage, lanes, registers)
    sizes = {}
    if tile.row_axis is not None:
        sizes[tile.row_axis] = tile.tile_rows
    if tile.column_axis is not None:
        sizes[tile.column_axis] = min(tile.tile_columns * lanes, tile.column_axis.extent)
    order = [a for a in stage.spatial if a not in sizes]
    order += [a for a in (tile.row_axis, tile.column_axis) if a is not None]
    return ReductionPlan(stage, tuple(Tile(a, sizes.get(a, 1)) for a in order), tile, lanes)


@dataclass(frozen=True)
class _Cell:
    """One accumulator vector of each output: where it stands, how wide it is, its registers."""

    point: dict[Any, Any]
    width: int
    registers: tuple[Any, ...]


def _register(name: str, width: int, dtype: str) -> Any:
    return tirx.decl_buffer((width,), dtype, name)


def _reduction_loops(axes: tuple[Axis, ...], body: Callable[[dict[Any, Any]], list[Any]]) -> Any:
    def nest(position: int, point: dict[Any, Any]) -> list[Any]:
        if position == len(axes):
            return body(point)
        axis = axes[position]
        return [
            serial(
                axis.var.name,
                axis.extent,
                lambda step: nest(position + 1, {**point, axis.var: step}),
            )
        ]

    return nest(0, {})


def _at_lane(stage: Stage, expr: Any, point: dict[Any, Any], cell: _Cell, lane: Any) -> Any:
    """``expr`` at a point, its loads of the stage's own results taken from the registers."""
    own = dict(zip(stage.outputs, cell.registers, strict=True))

    def result(load: Any) -> Any:
        register = own.get(load.source)
        return load if register is None else tirx.BufferLoad(register, [lane])

    return substitute(replace_loads(expr, result), point)


def _over_columns(stage: Stage, tile: ReductionTile, lanes: int, block: Block) -> list[Any]:
    column, row = tile.column_axis, tile.row_axis
    rows = range(block.width[row.var]) if row is not None else range(1)
    pieces = widths(block.width[column.var], lanes) if column is not None else [(0, 1)]
    cells: list[_Cell] = []
    for r, (offset, width) in itertools.product(rows, pieces):
        point = dict(block.base)
        if row is not None:
            point[row.var] = point[row.var] + const(r)
        if column is not None:
            point[column.var] = point[column.var] + const(offset)
        registers = tuple(
            _register(f"acc{len(cells)}_{k}", width, output.ty.dtype)
            for k, output in enumerate(stage.outputs)
        )
        cells.append(_Cell(point, width, registers))

    def point_of(cell: _Cell, lane: Any, reduced: dict[Any, Any]) -> dict[Any, Any]:
        point = {**cell.point, **reduced}
        if column is not None:
            point[column.var] = point[column.var] + lane
        return point

    def start(cell: _Cell, lane: Any) -> list[Any]:
        point = point_of(cell, lane, {})
        return [
            tirx.BufferStore(register, substitute(init, point), [lane])
            for register, init in zip(cell.registers, stage.inits or (), strict=True)
        ]

    def combine(cell: _Cell, lane: Any, reduced: dict[Any, Any]) -> list[Any]:
        point = point_of(cell, lane, reduced)
        values = [_at_lane(stage, value, point, cell, lane) for value in stage.values]
        return _store_together(cell.registers, values, lane)

    statements: list[Any] = [tirx.AllocBuffer(reg) for cell in cells for reg in cell.registers]
    statements += [vector(c.width, lambda lane, c=c: start(c, lane)) for c in cells]
    statements += _reduction_loops(
        stage.reduction,
        lambda reduced: [
            vector(c.width, lambda lane, c=c: combine(c, lane, reduced)) for c in cells
        ],
    )
    statements += [
        vector(c.width, lambda lane, c=c: _finish(stage, point_of(c, lane, {}), c, lane))
        for c in cells
    ]
    return statements


def _store_together(registers: tuple[Any, ...], values: list[Any], lane: Any) -> list[Any]:
    """Stores to several registers, all of whose values are computed before the first store."""
    if len(values) == 1:
        return [tirx.BufferStore(registers[0], values[0], [lane])]
    binds, stores = [], []
    for register, value in zip(registers, values, strict=True):
        var = tirx.Var(f"{register.name}_next", str(register.ty.dtype))
        binds.append(tirx.Bind(var, value))
        stores.append(tirx.BufferStore(register, var, [lane]))
    return [*binds, *stores]


def _finish(stage: Stage, point: dict[Any, Any], cell: _Cell, lane: Any) -> list[Any]:
    if stage.epilogue is None:
        index = substitute(stage.indices[0], point)
        return [
            tirx.BufferStore(output, tirx.BufferLoad(register, [lane]), [index])
            for output, register in zip(stage.outputs, cell.registers, strict=True)
        ]
    value = _at_lane(stage, stage.epilogue.value, point, cell, lane)
    index = substitute(stage.epilogue.indices[0], point)
    return [tirx.BufferStore(stage.epilogue.output, value, [index])]


def _over_lanes(stage: Stage, tile: ReductionTile, lanes: int, block: Block) -> list[Any]:
    axis = tile.lane_axis
    assert axis is not None
    outer = tuple(a for a in stage.reduction if a != axis)
    chains = tile.chains
    cells = [
        _Cell(
            dict(block.base),
            lanes,
            tuple(
                _register(f"lanes{c}_{k}", lanes, output.ty.dtype)
                for k, output in enumerate(stage.outputs)
            ),
        )
        for c in range(chains)
    ]

    def combine(cell: _Cell, width: int, start: Any, reduced: dict[Any, Any]) -> Any:
        def body(lane: Any) -> list[Any]:
            point = {**cell.point, **reduced, axis.var: start + lane}
            values = [_at_lane(stage, value, point, cell, lane) for value in stage.values]
            return _store_together(cell.registers, values, lane)

        return vector(width, body)

    step = lanes * chains
    full = axis.extent // step
    tail = [(full * step + offset, w) for offset, w in widths(axis.extent - full * step, lanes)]

    def along(reduced: dict[Any, Any]) -> list[Any]:
        statements: list[Any] = []
        if full:
            statements.append(
                serial(
                    f"{axis.var.name}_outer",
                    full,
                    lambda o: [
                        combine(cell, lanes, o * const(step) + const(c * lanes), reduced)
                        for c, cell in enumerate(cells)
                    ],
                )
            )
        statements += [
            combine(cells[i % chains], w, const(offset), reduced)
            for i, (offset, w) in enumerate(tail)
        ]
        return statements

    statements: list[Any] = [tirx.AllocBuffer(reg) for cell in cells for reg in cell.registers]
    for cell, k in itertools.product(cells, range(len(stage.outputs))):
        identity = _identity(tile.combiners[k], str(stage.outputs[k].ty.dtype))
        statements.append(
            vector(lanes, lambda lane, c=cell, k=k, e=identity: [tirx.BufferStore(c.registers[k], e, [lane])])
        )
    statements += _reduction_loops(outer, along)
    statements += _fold_chains(tile, cells, lanes)
    first = cells[0]
    for k, init in enumerate(stage.inits or ()):
        total = tile.combiners[k](
            substitute(init, first.point), tirx.BufferLoad(first.registers[k], [const(0)])
        )
        statements.append(tirx.BufferStore(first.registers[k], total, [const(0)]))
    statements += _finish(stage, first.point, first, const(0))
    return statements


def _fold_chains(tile: ReductionTile, cells: list[_Cell], lanes: int) -> list[Any]:
    """All lanes of all cells into lane 0 of the first, by halves."""
    statements: list[Any] = []
    for k, combine in enumerate(tile.combiners):
        first = cells[0].registers[k]

        def store(lane: Any, left: Any, right: Any, first: Any = first, f: Any = combine) -> list[Any]:
            return [tirx.BufferStore(first, f(left, right), [lane])]

        for cell in cells[1:]:
            other = cell.registers[k]
            statements.append(
                vector(lanes, lambda lane, o=other, s=store, f=first: s(lane, f[lane], o[lane]))
            )
        width = lanes // 2
        while width:
            statements.append(
                vector(width, lambda lane, w=width, s=store, f=first: s(lane, f[lane], f[lane + const(w)]))
            )
            width //= 2
    return statements


def _identity(combine: Any, dtype: str) -> Any:
    if combine is tirx.Max:
        return tirx.min_value(dtype)
    if combine is tirx.Min:
        return tirx.max_value(dtype)
    return tirx.const(1 if combine is tirx.Mul else 0, dtype)
