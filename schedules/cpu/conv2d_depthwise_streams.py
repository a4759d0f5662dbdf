"""Emits the depthwise convolution where several vectors are read by one instruction.

::

    for group of tile_oh rows, group of tile_ow columns:      weights stay in registers
      for input row, up to four columns: v = x[...]           one instruction
        for output a, i and tap kh, kw that meet v: y[a, i] += v * w[kh, kw]

Rows are cut like columns: those at the image's edges have code of their own without the taps that
lie in the padding.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.axis_runs import (
    AxisRun,
    column_runs,
    groups_of_task,
    row_runs,
    row_steps,
)
from edgewright.schedules.cpu.conv2d_depthwise_emit import DepthwiseConfig
from edgewright.schedules.streams import (
    LANES,
    StepRegisters,
    VectorStream,
    imported_loads,
    load_bytes,
    load_sizes,
)
from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["DepthwiseStreamEmitter"]

#: Instructions around a tile: its addresses and its loop.
TILE_INSTRUCTIONS = 10


class DepthwiseStreamEmitter:
    """Emits the schedule of one kernel, all of whose weights of a channel block fit registers."""

    def __init__(self, workload: Conv2dWorkload, config: DepthwiseConfig, simd: mk.Simd) -> None:
        self.w = workload
        self.config = config
        self.simd = simd
        self.blocks = math.ceil(workload.in_channels / LANES)

    @cached_property
    def rows(self) -> list[AxisRun]:
        """Groups of output rows."""
        return row_runs(self.w, self.config.tile_oh)

    @cached_property
    def columns(self) -> list[AxisRun]:
        """Groups of output columns."""
        return column_runs(self.w, self.config.tile_ow)

    def instructions(self) -> int:
        """Instructions of one image and channel block, but for those around tiles and tasks."""
        w, total = self.w, 0
        # Start from the bias, half a store, and what is fused.
        ends = 1.5 + (w.epilogue.activation is not None) + 1.5 * w.epilogue.residual
        for rows in self.rows:
            of_rows = sum(len(pairs) for pairs in rows.meets)
            for columns in self.columns:
                products = of_rows * sum(len(pairs) for pairs in columns.meets)
                read_rows = sum(1 for pairs in rows.meets if pairs)
                loads = read_rows * len(load_sizes(len(columns.meets)))
                outputs = rows.tiles.width * columns.tiles.width
                tile = products + loads + ends * outputs + TILE_INSTRUCTIONS
                total += math.ceil(tile * rows.tiles.count * columns.tiles.count)
        return total

    def emit(self) -> None:
        """The whole function: parameters x, w, b where biased, r where residual, y."""
        w, size = self.w, self.config.chunk_rows
        self.x = mk.declare("x", (w.batch, self.blocks, w.in_h, w.in_w, LANES))
        taps = w.kernel_h * w.kernel_w
        self.weights = mk.declare("w", (self.blocks * taps * LANES,))
        self.bias = mk.declare("b", (self.blocks * LANES,)) if w.epilogue.bias else None
        out_shape = (w.batch, self.blocks, w.out_h, w.out_w, LANES)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)
        units = sum(run.tiles.count for run in self.rows)
        row_tasks = math.ceil(units / size)
        with (
            builder.parallel(0, w.batch * self.blocks * row_tasks) as task,
            imported_loads(self.simd),
        ):
            self.place = (task // (row_tasks * self.blocks), task // row_tasks % self.blocks)
            self._open(taps)
            chunk = task % row_tasks if row_tasks > 1 else None
            for run, number in groups_of_task(self.rows, chunk, size):
                row = run.tiles.start + number * self.config.tile_oh
                self._columns(run, builder.Bind(row))

    def _open(self, taps: int) -> None:
        """What a task reads with: its weights, a pointer, the distances that it moves by."""
        _, block = self.place
        self.kernel = [
            mk.load(self.weights, ((block * taps + tap) * LANES,), LANES) for tap in range(taps)
        ]
        self.start: Any = mk.constant(0.0, LANES)
        if self.bias is not None:
            self.start = mk.load(self.bias, (block * LANES,), LANES)
        self.stream = VectorStream(self.x)
        steps = {
            step
            for r in self.rows
            for c in self.columns
            for step in row_steps(r, c, self.w.in_w).values()
        }
        self.steps = StepRegisters(steps)

    def _columns(self, rows: AxisRun, row: Any) -> None:
        for run in self.columns:
            with mk.index_loop(run.tiles.count) as number:
                self._tile(rows, run, row, run.tiles.start + number * self.config.tile_ow)

    def _tile(self, rows: AxisRun, columns: AxisRun, row: Any, column: Any) -> None:
        """Every input vector of the tile is read once and used by all the taps that it meets."""
        w = self.w
        tile = mk.RegisterTile(rows.tiles.width, columns.tiles.width, self.simd)
        tile.fill([self.start] * tile.rows)
        if rows.meets and columns.meets:
            top = row * w.stride_h - w.pad_top + rows.first
            left = column * w.stride_w - w.pad_left + columns.first
            pixel = mk.pixel_index(top, w.in_w, left)
            self.stream.start((*self.place, mk.index(0), pixel, mk.index(0)))
            for place, step in row_steps(rows, columns, w.in_w).items():
                self._row(tile, rows.meets[place], columns, self.steps.get(step))
        for a, i in np.ndindex(tile.rows, tile.columns):
            place_out = (*self.place, row + a, column + i, mk.index(0))
            value = tile.get(a, i)
            if self.residual is not None:
                value = value + mk.load(self.residual, place_out, LANES)
            value = mk.activate(value, w.epilogue.activation, self.simd)
            mk.store(self.y, place_out, value, LANES)

    def _row(
        self,
        tile: mk.RegisterTile,
        of_row: tuple[tuple[int, int], ...],
        columns: AxisRun,
        last_step: Any,
    ) -> None:
        """The products of one input row."""
        sizes = load_sizes(len(columns.meets))
        place = 0
        for number, size in enumerate(sizes):
            touched: dict[tuple[int, int], None] = {}
            for value in self.stream.load(size):
                for a, kh in of_row:
                    for i, kw in columns.meets[place]:
                        tile.multiply_add(a, i, value, self.kernel[kh * self.w.kernel_w + kw])
                        touched[a, i] = None
                place += 1
            step = last_step if number == len(sizes) - 1 else load_bytes(size)
            self.stream.move(step, [tile.get(*output) for output in touched])
