"""Emits the depthwise convolution's schedule, which :mod:`.conv2d_depthwise` describes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["DepthwiseConfig", "DepthwiseEmitter"]


@dataclass(frozen=True)
class DepthwiseConfig:
    """Tile sizes.

    Attributes:
        tile_oh: output rows in the register tile where the whole kernel is inside the image.
        tile_ow: output columns in the register tile.
        chunk_rows: groups of ``tile_oh`` rows in one task.
    """

    tile_oh: int
    tile_ow: int
    chunk_rows: int = 1

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"oh{self.tile_oh}ow{self.tile_ow}r{self.chunk_rows}"


@dataclass(frozen=True)
class _Place:
    """Image and channel block."""

    batch: Any
    block: Any


class DepthwiseEmitter:
    """Emits the schedule of one kernel."""

    def __init__(
        self, workload: Conv2dWorkload, config: DepthwiseConfig, simd: mk.Simd, unrolled: bool
    ) -> None:
        self.w = workload
        self.config = config
        self.simd = simd
        self.unrolled = unrolled
        self.lanes = simd.lanes
        self.blocks = math.ceil(workload.in_channels / simd.lanes)
        self.units = math.ceil(workload.out_h / config.tile_oh)
        self.tiles = mk.column_tiles(
            in_w=workload.in_w,
            out_w=workload.out_w,
            tile=config.tile_ow,
            kernel=workload.kernel_w,
            stride=workload.stride_w,
            pad=workload.pad_left,
            dilation=workload.dilation_w,
        )

    def emit(self) -> None:
        """The whole function."""
        w, lanes, size = self.w, self.lanes, self.config.chunk_rows
        self.x = mk.declare("x", (w.batch, self.blocks, w.in_h, w.in_w, lanes))
        self.weights = mk.declare("w", (self.blocks * w.kernel_h * w.kernel_w * lanes,))
        self.bias = mk.declare("b", (self.blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, self.blocks, w.out_h, w.out_w, lanes)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)
        row_tasks = math.ceil(self.units / size)
        with builder.parallel(0, w.batch * self.blocks * row_tasks) as task:
            chunk = task % row_tasks
            block = task // row_tasks % self.blocks
            place = _Place(task // (row_tasks * self.blocks), block)
            extent: Any = size
            if self.units % size:
                extent = tirx.min(mk.index(size), self.units - chunk * size)
            with mk.index_loop(extent, chunk * size) as unit:
                self._unit(place, unit)

    def _unit(self, place: _Place, unit: Any) -> None:
        """One group of ``tile_oh`` rows."""
        w, height = self.w, self.config.tile_oh
        first, end = mk.interior_rows(w)
        row = builder.Bind(unit * height)
        if not self.unrolled or end - first < height:
            self._clipped_rows(place, row)
        elif first == 0 and end == w.out_h and w.out_h % height == 0:
            self._columns(place, row, height)
        else:
            with builder.If(tirx.all(row >= first, row + height <= end)):
                with builder.Then():
                    self._columns(place, row, height)
                with builder.Else():
                    self._clipped_rows(place, row)

    def _clipped_rows(self, place: _Place, first: Any) -> None:
        height, out_h = self.config.tile_oh, self.w.out_h
        extent: Any = height
        if out_h % height:
            extent = tirx.min(mk.index(height), out_h - first)
        with mk.index_loop(extent, first) as row:
            self._columns(place, row, 0)

    def _columns(self, place: _Place, row: Any, height: int) -> None:
        """All column tiles of ``height`` unrolled rows, or of one clipped row where it is 0."""
        for run in self.tiles:
            with mk.index_loop(run.count) as number:
                column = run.start + number * self.config.tile_ow
                if height and len(run.missing) < run.width * self.w.kernel_w:
                    self._unrolled_tile(place, row, column, run, height)
                    continue
                for a in range(max(1, height)):
                    self._clipped_tile(place, row + a, column, run)

    def _weight(self, place: _Place, kh: Any, kw: int) -> Any:
        tap = (place.block * self.w.kernel_h + kh) * self.w.kernel_w + kw
        return mk.load(self.weights, (tap * self.lanes,), self.lanes)

    def _input(self, place: _Place, pixel: Any) -> Any:
        indices = (place.batch, place.block, mk.index(0), pixel, mk.index(0))
        return mk.load(self.x, indices, self.lanes)

    def _left(self, run: mk.ColumnTiles) -> int:
        """First input column that a tile reads, from the input column of its first output."""
        w = self.w
        return min(
            i * w.stride_w + kw * w.dilation_w - w.pad_left
            for i in range(run.width)
            for kw in range(w.kernel_w)
            if (i, kw) not in run.missing
        )

    def _start(self, place: _Place) -> Any:
        if self.bias is None:
            return mk.constant(0.0, self.lanes)
        return mk.load(self.bias, (place.block * self.lanes,), self.lanes)

    def _finish(self, place: _Place, row: Any, column: Any, value: Any) -> None:
        place_out = (place.batch, place.block, row, column, mk.index(0))
        if self.residual is not None:
            value = value + mk.load(self.residual, place_out, self.lanes)
        value = mk.activate(value, self.w.epilogue.activation, self.simd)
        mk.store(self.y, place_out, value, self.lanes)

    def _unrolled_tile(
        self, place: _Place, row: Any, column: Any, run: mk.ColumnTiles, height: int
    ) -> None:
        """Every input vector of the tile is read once and used by all the taps that it meets."""
        w = self.w
        weights = [
            [self._weight(place, mk.index(kh), kw) for kw in range(w.kernel_w)]
            for kh in range(w.kernel_h)
        ]
        start = self._start(place)
        sums = {(a, i): start for a in range(height) for i in range(run.width)}
        left = self._left(run)
        top = row * w.stride_h - w.pad_top
        corner = mk.pixel_index(top, w.in_w, column * w.stride_w + left)
        for in_row in range((height - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1):
            rows = _taps_at(in_row, height, w.kernel_h, w.stride_h, w.dilation_h)
            for in_column in range(
                (run.width - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w + 1
            ):
                columns = [
                    tap
                    for tap in _taps_at(in_column, run.width, w.kernel_w, w.stride_w, w.dilation_w)
                    if tap not in run.missing
                ]
                if not rows or not columns:
                    continue
                offset = in_row * w.in_w + in_column - w.pad_left - left
                value = self._input(place, corner + offset)
                for a, kh in rows:
                    for i, kw in columns:
                        total = mk.multiply_add(sums[a, i], value, weights[kh][kw], self.simd)
                        sums[a, i] = builder.Bind(total)
        for (a, i), value in sums.items():
            self._finish(place, row + a, column + i, value)

    def _clipped_tile(self, place: _Place, row: Any, column: Any, run: mk.ColumnTiles) -> None:
        """One row whose kernel rows are those inside the image."""
        w = self.w
        tile = mk.RegisterTile(1, run.width, self.simd)
        tile.fill([self._start(place)])
        first, count = mk.clipped_taps(
            row,
            in_extent=w.in_h,
            kernel=w.kernel_h,
            stride=w.stride_h,
            pad=w.pad_top,
            dilation=w.dilation_h,
            out=w.out_h,
        )
        if len(run.missing) == run.width * w.kernel_w:
            count = mk.index(0)
        left = 0 if len(run.missing) == run.width * w.kernel_w else self._left(run)
        with mk.index_loop(count, first) as kh:
            in_row = row * w.stride_h + kh * w.dilation_h - w.pad_top
            corner = mk.pixel_index(in_row, w.in_w, column * w.stride_w + left)
            for kw in range(w.kernel_w):
                columns = [i for i in range(run.width) if (i, kw) not in run.missing]
                if not columns:
                    continue
                weight = self._weight(place, kh, kw)
                for i in columns:
                    offset = i * w.stride_w + kw * w.dilation_w - w.pad_left - left
                    tile.multiply_add(0, i, self._input(place, corner + offset), weight)
        for i in range(run.width):
            self._finish(place, row, column + i, tile.get(0, i))


def _taps_at(
    position: int, outputs: int, kernel: int, stride: int, dilation: int
) -> list[tuple[int, int]]:
    """Pairs (output, kernel index) that read input ``position``, counted from the tile's first."""
    return [
        (out, k)
        for out in range(outputs)
        for k in range(kernel)
        if out * stride + k * dilation == position
    ]
