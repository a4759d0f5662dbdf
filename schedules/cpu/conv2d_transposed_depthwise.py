"""Depthwise transposed convolution on blocked activations: every channel has a kernel of its own.

Schedule, phases as in :mod:`.conv2d_transposed`::

    before                          after
    for n, c, ih, iw:               parallel task: (n, channel block, rows)
      for kh, kw:                     for phase of rows, phase of columns, row, column tile:
        y[.., ih*s + kh, ..] +=         tile = bias
          x * w                         for taps of the phase: tile += x * w
                                        y[.., row*s + phase, ..] = activation(tile + residual)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TILE_CYCLES, core_rates, split_tasks
from edgewright.schedules.cpu import conv2d_depthwise
from edgewright.schedules.cpu.conv2d_transposed import phase_kernel, refusal
from edgewright.schedules.cpu.conv2d_transposed_phases import PhaseBlock, phase_blocks
from edgewright.schedules.kernel import Declined, Kernel, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.workload import Conv2dTransposedWorkload, Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["DepthwiseTransposedConfig", "offer"]

FAMILY = "depthwise"
#: Most output columns in the register tile.
MAX_TILE_OW = 8


@dataclass(frozen=True)
class DepthwiseTransposedConfig:
    """Tile sizes.

    Attributes:
        tile_ow: output columns of a phase in the register tile.
        chunk_rows: rows of a phase in one task.
    """

    tile_ow: int
    chunk_rows: int

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"ow{self.tile_ow}r{self.chunk_rows}"


def offer(workload: Conv2dTransposedWorkload, target: Target) -> Offer | Declined:
    """The best kernel for a workload over blocked activations, or why there is none."""
    w = workload
    reason = refusal(w)
    if reason:
        return Declined(FAMILY, reason)
    if not w.is_depthwise:
        return Declined(
            FAMILY, f"{w.groups} groups of {w.in_channels} and {w.out_channels} channels"
        )
    cost, config = _cheapest(w, target)
    name = convolution_name("transposed_depthwise", config.stem(), target.isa.name, w)
    build = partial(build_kernel, w, config, target, name, cost)
    return Offer(algorithm=FAMILY, name=name, cost=cost, build=build, config=config.stem())


def _cheapest(
    workload: Conv2dTransposedWorkload, target: Target
) -> tuple[float, DepthwiseTransposedConfig]:
    """The tile that leaves the fewest columns over, and its task split."""
    w, rates, phases = workload, core_rates(target.isa), phase_blocks(workload)
    widest = max(block.columns.outputs for block in phases)
    most = min(widest, MAX_TILE_OW, rates.max_accumulators)
    tile = min(range(1, most + 1), key=lambda width: (math.ceil(widest / width), width))
    blocks = w.batch * math.ceil(w.in_channels / target.isa.vec_lanes)
    cycles = 0.0
    for block in phases:
        outputs = block.rows.outputs * block.columns.outputs
        tiles = block.rows.outputs * math.ceil(block.columns.outputs / tile)
        taps = block.taps * (outputs + tiles / tile) / rates.load
        cycles += block.count * (taps + 2 * outputs + tiles * TILE_CYCLES)
    cycles *= blocks
    rows = max(block.rows.outputs for block in phases)
    split = split_tasks(target, units=rows, outer=blocks, cycles=cycles)
    return cycles, DepthwiseTransposedConfig(tile, split.size)


def pack_weights(
    weights: npt.NDArray[np.float32], workload: Conv2dTransposedWorkload, lanes: int
) -> npt.NDArray[np.float32]:
    """Packs ``(C, 1, kh, kw)`` weights: for each phase ``(ceil(C/c), taps, c)``."""
    parts = [np.zeros(0, np.float32)]
    for block in phase_blocks(workload):
        if block.taps:
            for row, column in block.phases():
                part = phase_kernel(weights, workload, row, column)
                parts.append(conv2d_depthwise.pack_weights(part, lanes))
    packed = np.concatenate(parts)
    return packed if packed.size else np.zeros(lanes, np.float32)


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dTransposedWorkload,
    config: DepthwiseTransposedConfig,
    target: Target,
    name: str,
    cost: float,
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b where biased, r where residual, y."""
    lanes = target.isa.vec_lanes
    emitter = _Emitter(workload, config, mk.simd_of(target))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(pack_weights, workload=workload, lanes=lanes),
        pack_bias=(
            partial(conv2d_depthwise.pack_bias, lanes=lanes) if workload.epilogue.bias else None
        ),
        cost=cost,
        reason=f"depthwise phase by phase, tile of {config.tile_ow} vectors",
    )


@dataclass(frozen=True)
class _Place:
    """Image, channel block and task of rows; then the phase and where its weights begin."""

    batch: Any
    block: Any
    rows: Any
    phase_row: Any = None
    phase_column: Any = None
    weights: Any = None


class _Emitter:
    """Emits the schedule of one kernel."""

    def __init__(
        self,
        workload: Conv2dTransposedWorkload,
        config: DepthwiseTransposedConfig,
        simd: mk.Simd,
    ) -> None:
        self.w = workload
        self.config = config
        self.simd = simd
        self.lanes = simd.lanes
        self.blocks = math.ceil(workload.in_channels / simd.lanes)
        self.phases = phase_blocks(workload)

    def emit(self) -> None:
        """The whole function: parameters x, w, b where biased, r where residual, y."""
        w, lanes = self.w, self.lanes
        rows = max(block.rows.outputs for block in self.phases)
        self.row_tasks = math.ceil(rows / self.config.chunk_rows)
        elems = sum(block.count * block.taps for block in self.phases) * self.blocks * lanes
        self.x = mk.declare("x", (w.batch, self.blocks, w.in_h, w.in_w, lanes))
        self.weights = mk.declare("w", (max(lanes, elems),))
        self.bias = mk.declare("b", (self.blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, self.blocks, w.out_h, w.out_w, lanes)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)
        with builder.parallel(0, w.batch * self.blocks * self.row_tasks) as task:
            block = task // self.row_tasks % self.blocks
            batch = task // (self.row_tasks * self.blocks)
            self._task(batch, block, task % self.row_tasks)

    def _task(self, batch: Any, block: Any, rows: Any) -> None:
        """All phases of one channel block and some rows."""
        first = 0
        for phases in self.phases:
            of_rows, of_columns = phases.rows, phases.columns
            per_phase = phases.taps * self.blocks * self.lanes
            with mk.index_loop(of_rows.count) as i, mk.index_loop(of_columns.count) as j:
                place = _Place(
                    batch,
                    block,
                    rows,
                    of_rows.first + i,
                    of_columns.first + j,
                    first + (i * of_columns.count + j) * per_phase,
                )
                self._phase(place, phases)
            first += phases.count * per_phase

    def _phase(self, place: _Place, phases: PhaseBlock) -> None:
        conv, size = phases.convolution(self.w), self.config.chunk_rows
        extent: Any = conv.out_h
        if self.row_tasks > 1:
            left = tirx.max(mk.index(0), conv.out_h - place.rows * size)
            extent = tirx.min(mk.index(size), left)
        runs = mk.column_tiles(
            in_w=conv.in_w,
            out_w=conv.out_w,
            tile=self.config.tile_ow,
            kernel=conv.kernel_w,
            stride=1,
            pad=conv.pad_left,
            dilation=conv.dilation_w,
        )
        with mk.index_loop(extent, place.rows * size) as row:
            for run in runs:
                with mk.index_loop(run.count) as number:
                    column = run.start + number * self.config.tile_ow
                    tile = self._started(place, run.width)
                    if phases.taps:
                        self._taps(tile, place, conv, row, column, run)
                    self._finish(tile, place, row, column)

    def _started(self, place: _Place, width: int) -> mk.RegisterTile:
        tile = mk.RegisterTile(1, width, self.simd)
        start = mk.constant(0.0, self.lanes)
        if self.bias is not None:
            start = mk.load(self.bias, (place.block * self.lanes,), self.lanes)
        tile.fill([start])
        return tile

    def _taps(
        self,
        tile: mk.RegisterTile,
        place: _Place,
        conv: Conv2dWorkload,
        row: Any,
        column: Any,
        run: mk.ColumnTiles,
    ) -> None:
        """The products of one tile: rows of the phase's kernel that are inside the image."""
        first, count = mk.clipped_taps(
            row,
            in_extent=conv.in_h,
            kernel=conv.kernel_h,
            stride=1,
            pad=conv.pad_top,
            dilation=conv.dilation_h,
            out=conv.out_h,
        )
        taps: Sequence[tuple[int, int]] = [
            (i, kw)
            for kw in range(conv.kernel_w)
            for i in range(run.width)
            if (i, kw) not in run.missing
        ]
        if not taps:
            return
        left = min(i + kw * conv.dilation_w for i, kw in taps)
        with mk.index_loop(count, first) as kh:
            in_row = row + kh * conv.dilation_h - conv.pad_top
            corner = mk.pixel_index(in_row, conv.in_w, column + (left - conv.pad_left))
            weights: dict[int, Any] = {}
            for i, kw in taps:
                if kw not in weights:
                    tap = (place.block * conv.kernel_h + kh) * conv.kernel_w + kw
                    at = place.weights + tap * self.lanes
                    weights[kw] = mk.load(self.weights, (at,), self.lanes)
                pixel = corner + (i + kw * conv.dilation_w - left)
                indices = (place.batch, place.block, mk.index(0), pixel, mk.index(0))
                tile.multiply_add(0, i, mk.load(self.x, indices, self.lanes), weights[kw])

    def _finish(self, tile: mk.RegisterTile, place: _Place, row: Any, column: Any) -> None:
        w = self.w
        out_row = row * w.stride_h + place.phase_row
        for i in range(tile.columns):
            out_column = (column + i) * w.stride_w + place.phase_column
            at = (place.batch, place.block, out_row, out_column, mk.index(0))
            value = tile.get(0, i)
            if self.residual is not None:
                value = value + mk.load(self.residual, at, self.lanes)
            mk.store(self.y, at, mk.activate(value, w.epilogue.activation, self.simd), self.lanes)
