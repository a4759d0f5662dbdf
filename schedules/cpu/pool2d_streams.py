"""Emits pooling where several vectors are read by one instruction, a window's two axes apart.

::

    for output row, group of tile_ow columns:
      for input column: v[column] = op over the window's rows      each input read once
      for output i: y[i] = op over v of its columns, times 1 / count for an average
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, reduce
from typing import Any

from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.axis_runs import (
    AxisRun,
    column_runs,
    groups_of_task,
    row_runs,
    row_steps,
)
from edgewright.schedules.streams import (
    LANES,
    StepRegisters,
    VectorStream,
    imported_loads,
    load_bytes,
    load_sizes,
)
from edgewright.schedules.workload import Pool2dWorkload

__all__ = ["PoolStreamEmitter"]

#: Instructions around a tile: its addresses and its loop.
TILE_INSTRUCTIONS = 10


class PoolStreamEmitter:
    """Emits the schedule of one window kernel.

    Args:
        workload: the pool; an average counts no padding.
        tile_ow: output columns of a tile.
        chunk_rows: output rows of a task.
        simd: the instruction set's vectors.
        combine: the operation on two vectors.
        empty: the result of a window that lies in the padding.
    """

    def __init__(
        self,
        workload: Pool2dWorkload,
        tile_ow: int,
        chunk_rows: int,
        simd: mk.Simd,
        combine: Callable[[Any, Any], Any],
        empty: float,
    ) -> None:
        self.w = workload
        self.tile_ow = tile_ow
        self.chunk_rows = chunk_rows
        self.simd = simd
        self.combine = combine
        self.empty = empty
        self.blocks = math.ceil(workload.channels / LANES)

    @cached_property
    def rows(self) -> list[AxisRun]:
        """Output rows that need equal code."""
        return row_runs(self.w, 1)

    @cached_property
    def columns(self) -> list[AxisRun]:
        """Groups of output columns."""
        return column_runs(self.w, self.tile_ow)

    def instructions(self) -> int:
        """Instructions of one image and channel block, but for those around tasks."""
        total = 0.0
        for rows in self.rows:
            height = sum(1 for pairs in rows.meets if pairs)
            for columns in self.columns:
                width, outputs = len(columns.meets), columns.tiles.width
                across = sum(len(pairs) for pairs in columns.meets) - outputs
                tile = height * len(load_sizes(width)) + (height - 1) * width + across
                ends = outputs * (0.5 + (self.w.kind == "average")) + TILE_INSTRUCTIONS
                total += (tile + ends) * rows.tiles.count * columns.tiles.count
        return math.ceil(total)

    def emit(self) -> None:
        """The whole function: parameters x, y."""
        w, size = self.w, self.chunk_rows
        self.x = mk.declare("x", (w.batch, self.blocks, w.in_h, w.in_w, LANES))
        self.y = mk.declare("y", (w.batch, self.blocks, w.out_h, w.out_w, LANES))
        row_tasks = math.ceil(w.out_h / size)
        with (
            builder.parallel(0, w.batch * self.blocks * row_tasks) as task,
            imported_loads(self.simd),
        ):
            self.place = (task // (row_tasks * self.blocks), task // row_tasks % self.blocks)
            self.stream = VectorStream(self.x)
            steps = [row_steps(r, c, w.in_w).values() for r in self.rows for c in self.columns]
            self.steps = StepRegisters({step for some in steps for step in some})
            chunk = task % row_tasks if row_tasks > 1 else None
            for run, number in groups_of_task(self.rows, chunk, size):
                row = builder.Bind(run.tiles.start + number)
                for columns in self.columns:
                    with mk.index_loop(columns.tiles.count) as tile:
                        column = columns.tiles.start + tile * self.tile_ow
                        self._tile(run, columns, row, column)

    def _tile(self, rows: AxisRun, columns: AxisRun, row: Any, column: Any) -> None:
        """One row of ``columns.tiles.width`` outputs."""
        of_columns = self._read(rows, columns, row, column)
        height = sum(1 for pairs in rows.meets if pairs)
        for i in range(columns.tiles.width):
            seen = [
                value
                for value, pairs in zip(of_columns, columns.meets, strict=True)
                if any(output == i for output, _ in pairs)
            ]
            value = reduce(self._bound, seen) if seen else mk.constant(self.empty, LANES)
            if self.w.kind == "average" and len(seen) * height > 1:
                value = value * mk.constant(1.0 / (len(seen) * height), LANES)
            mk.store(self.y, (*self.place, row, column + i, mk.index(0)), value, LANES)

    def _read(self, rows: AxisRun, columns: AxisRun, row: Any, column: Any) -> list[Any]:
        """For each input column of a tile, all of its rows combined; nothing in the padding."""
        w = self.w
        if not rows.meets or not columns.meets:
            return [] if not columns.meets else self._nothing(columns)
        top = row * w.stride_h - w.pad_top + rows.first
        left = column * w.stride_w - w.pad_left + columns.first
        pixel = mk.pixel_index(top, w.in_w, left)
        self.stream.start((*self.place, mk.index(0), pixel, mk.index(0)))
        sizes = load_sizes(len(columns.meets))
        combined: list[Any] = []
        for last_step in row_steps(rows, columns, w.in_w).values():
            found: list[Any] = []
            for number, size in enumerate(sizes):
                for value in self.stream.load(size):
                    before = combined[len(found)] if combined else None
                    found.append(value if before is None else self._bound(before, value))
                last = number == len(sizes) - 1
                step = self.steps.get(last_step) if last else load_bytes(size)
                self.stream.move(step, found[-size:] if combined else ())
            combined = found
        return combined

    def _nothing(self, columns: AxisRun) -> list[Any]:
        return [mk.constant(self.empty, LANES) for _ in columns.meets]

    def _bound(self, left: Any, right: Any) -> Any:
        return builder.Bind(self.combine(left, right))
