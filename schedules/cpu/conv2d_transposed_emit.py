"""Emits the transposed convolution's schedule, which :mod:`.conv2d_transposed` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig, Place
from edgewright.schedules.cpu.conv2d_direct_emit import DirectEmitter
from edgewright.schedules.cpu.conv2d_transposed_phases import PhaseBlock, PhaseGeometry
from edgewright.schedules.workload import Conv2dTransposedWorkload

__all__ = ["PhaseEmitter", "TransposedEmitter"]


class PhaseEmitter(DirectEmitter):
    """Emits the direct convolution that phases of equal code are, over one task's rows.

    Args:
        workload: the transposed convolution.
        block: the phases.
        geometry: each phase's convolution.
        config: tile sizes.
        simd: the instruction set's vectors.
        row_tasks: tasks that a phase's rows are cut into.
        first_weight: position of the first phase's packed weights.
    """

    def __init__(
        self,
        workload: Conv2dTransposedWorkload,
        block: PhaseBlock,
        geometry: PhaseGeometry,
        config: Conv2dDirectConfig,
        simd: mk.Simd,
        row_tasks: int,
        first_weight: int,
    ) -> None:
        super().__init__(geometry, config, simd)
        self.transposed = workload
        self.block = block
        self.row_tasks = row_tasks
        self.first_of_phases = first_weight
        self.packed_elems = geometry.packed_elems
        self.phase_row: Any = None
        self.phase_column: Any = None

    def bind(self, buffers: tuple[Any, Any, Any, Any, Any]) -> None:
        """Takes the function's parameters: x, w, b or None, r or None, y."""
        self.x, self.weights, self.bias, self.residual, self.y = buffers

    def emit_phases(self, batch: Any, group: Any, oc_task: Any, rows: Any) -> None:
        """All phases of a task, one after the other."""
        of_rows, of_columns = self.block.rows, self.block.columns
        with mk.index_loop(of_rows.count) as i, mk.index_loop(of_columns.count) as j:
            self.phase_row = of_rows.first + i
            self.phase_column = of_columns.first + j
            number = i * of_columns.count + j
            self.first_weight = self.first_of_phases + number * self.packed_elems
            self._oc_tiles(batch, group, oc_task, rows)

    def _out(self, place: Place, t: int, row: Any, column: Any) -> tuple[Any, ...]:
        w = self.transposed
        out_row = row * w.stride_h + self.phase_row
        out_column = column * w.stride_w + self.phase_column
        return (place.batch, place.block + t, out_row, out_column, mk.index(0))

    @contextmanager
    def _task_range(self, rows: Any, size: int) -> Iterator[Any]:
        """Loops over the phase's rows of task ``rows``; the last tasks may have none of them."""
        if self.row_tasks == 1:
            with mk.index_loop(self.units) as row:
                yield row
        elif self.units == self.row_tasks * size:
            with mk.index_loop(size, rows * size) as row:
                yield row
        else:
            left = tirx.max(mk.index(0), self.units - rows * size)
            with mk.index_loop(tirx.min(mk.index(size), left), rows * size) as row:
                yield row

    def _accumulate(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, run: mk.ColumnTiles
    ) -> None:
        if self.block.taps:
            super()._accumulate(tile, place, row, column, run)


class TransposedEmitter:
    """Emits the schedule of one kernel.

    Args:
        workload: the transposed convolution.
        phases: its phases, with each one's convolution.
        config: tile sizes; ``chunk_rows`` counts rows of a phase.
        simd: the instruction set's vectors.
    """

    def __init__(
        self,
        workload: Conv2dTransposedWorkload,
        phases: Sequence[tuple[PhaseBlock, PhaseGeometry]],
        config: Conv2dDirectConfig,
        simd: mk.Simd,
    ) -> None:
        self.w = workload
        self.config = config
        self.lanes = simd.lanes
        self.geometry = phases[0][1]
        most_rows = max(block.rows.outputs for block, _ in phases)
        self.row_tasks = math.ceil(most_rows / config.chunk_rows)
        self.emitters = []
        self.weights = 0
        for block, geometry in phases:
            self.emitters.append(
                PhaseEmitter(workload, block, geometry, config, simd, self.row_tasks, self.weights)
            )
            if block.taps:
                self.weights += block.count * geometry.packed_elems

    def emit(self) -> None:
        """The whole function: parameters x, w, b where biased, r where residual, y."""
        groups = self.geometry.workload.groups
        buffers = self._declare(groups * self.geometry.group_blocks)
        oc_tiles = math.ceil(self.geometry.group_blocks / self.config.tile_oc)
        oc_tasks = math.ceil(oc_tiles / self.config.group_oc)
        with builder.parallel(0, self.w.batch * groups * oc_tasks * self.row_tasks) as task:
            rows = task % self.row_tasks
            oc_task = task // self.row_tasks % oc_tasks
            group = task // (self.row_tasks * oc_tasks) % groups
            batch = task // (self.row_tasks * oc_tasks * groups)
            for emitter in self.emitters:
                emitter.bind(buffers)
                emitter.emit_phases(batch, group, oc_task, rows)

    def _declare(self, out_blocks: int) -> tuple[Any, Any, Any, Any, Any]:
        w, lanes = self.w, self.lanes
        in_blocks = math.ceil(w.in_channels / lanes)
        x = mk.declare("x", (w.batch, in_blocks, w.in_h, w.in_w, lanes))
        weights = mk.declare("w", (max(lanes, self.weights),))
        bias = mk.declare("b", (out_blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, math.ceil(w.out_channels / lanes), w.out_h, w.out_w, lanes)
        residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        return x, weights, bias, residual, mk.declare("y", out_shape)
