"""Emits the direct convolution's schedule, which :mod:`.conv2d_direct` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig, Geometry

__all__ = ["DirectEmitter"]


@dataclass(frozen=True)
class Place:
    """Where a register tile is: image, group, first of its output-channel blocks, input chunk."""

    batch: Any
    group: Any
    block: Any
    blocks: int
    chunk: Any


@dataclass(frozen=True)
class Step:
    """One kernel tap of a tile: first input pixel, first weight step, output columns it touches."""

    tile: mk.RegisterTile
    place: Place
    pixel: Any
    position: Any
    columns: tuple[int, ...]


class DirectEmitter:
    """Emits the schedule of one kernel.

    Args:
        geometry: the workload.
        config: tile sizes.
        simd: the instruction set's vectors.
    """

    def __init__(self, geometry: Geometry, config: Conv2dDirectConfig, simd: mk.Simd) -> None:
        self.geometry = geometry
        self.w = geometry.workload
        self.config = config
        self.lanes = geometry.lanes
        self.simd = simd
        self.chunks = geometry.group_in // config.chunk_ic
        self.column_tiles = geometry.column_tiles(config.tile_ow)
        full = sum(run.count for run in self.column_tiles if run.width == config.tile_ow)
        self.units = full if geometry.flat else geometry.rows
        self.row_tasks = max(1, math.ceil(self.units / config.chunk_rows))
        self.oc_tiles = math.ceil(geometry.group_blocks / config.tile_oc)

    def emit(self) -> None:
        """The whole function: parameters x, w, b where biased, r where residual, y."""
        self._declare()
        group_oc = self.config.group_oc
        oc_tasks = math.ceil(self.oc_tiles / group_oc)
        outer = self.w.batch * self.w.groups
        with builder.parallel(0, outer * oc_tasks * self.row_tasks) as task:
            rows = task % self.row_tasks
            oc_task = task // self.row_tasks % oc_tasks
            group = task // (self.row_tasks * oc_tasks) % self.w.groups
            batch = task // (self.row_tasks * oc_tasks * self.w.groups)
            self._oc_tiles(batch, group, oc_task, rows)

    def _declare(self) -> None:
        w, g = self.w, self.geometry
        out_blocks = w.groups * g.group_blocks
        if g.nchw:
            shape: tuple[int, ...] = (w.batch, w.in_channels, w.in_h, w.in_w)
            self.x = mk.declare("x", shape, align=mk.ANY_ALIGNMENT)
        else:
            in_blocks = math.ceil(w.in_channels / self.lanes)
            self.x = mk.declare("x", (w.batch, in_blocks, w.in_h, w.in_w, self.lanes))
        self.weights = mk.declare("w", (out_blocks * self.lanes * g.group_in * g.taps,))
        self.bias = mk.declare("b", (out_blocks * self.lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, out_blocks, w.out_h, w.out_w, self.lanes)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)

    def _oc_tiles(self, batch: Any, group: Any, oc_task: Any, rows: Any) -> None:
        """All output-channel tiles of a task: the full ones in a loop, the tail after them."""
        tile, blocks = self.config.tile_oc, self.geometry.group_blocks
        full, tail = blocks // tile, blocks % tile
        first_block = group * blocks
        if self.config.group_oc >= self.oc_tiles:
            if full:
                with mk.index_loop(full) as oc:
                    self._oc_tile(batch, group, first_block + oc * tile, tile, rows)
            if tail:
                self._oc_tile(batch, group, first_block + full * tile, tail, rows)
            return
        # Tasks of one tile each: _with_tasks knows no other case.
        block = first_block + oc_task * tile
        if not tail:
            self._oc_tile(batch, group, block, tile, rows)
            return
        with builder.If(oc_task < full):
            with builder.Then():
                self._oc_tile(batch, group, block, tile, rows)
            with builder.Else():
                self._oc_tile(batch, group, block, tail, rows)

    def _oc_tile(self, batch: Any, group: Any, block: Any, blocks: int, rows: Any) -> None:
        """One tile of ``blocks`` output-channel blocks from ``block``, over a task's rows."""
        with mk.index_loop(self.chunks) as chunk:
            place = Place(batch, group, builder.Bind(block) if blocks else block, blocks, chunk)
            if self.geometry.flat:
                self._flat_row(place, rows)
            else:
                self._rows(place, rows)

    def _flat_row(self, place: Place, rows: Any) -> None:
        """Column tiles of a flattened image; the tail belongs to the last task."""
        size, tile = self.config.chunk_rows, self.config.tile_ow
        for run in self.column_tiles:
            if run.width == tile:
                with self._task_range(rows, size) as unit:
                    self._tile(place, mk.index(0), unit * tile, run)
            elif self.row_tasks == 1:
                self._tile(place, mk.index(0), mk.index(run.start), run)
            else:
                with builder.If(rows == self.row_tasks - 1), builder.Then():
                    self._tile(place, mk.index(0), mk.index(run.start), run)

    def _rows(self, place: Place, rows: Any) -> None:
        with self._task_range(rows, self.config.chunk_rows) as row:
            for run in self.column_tiles:
                with mk.index_loop(run.count) as number:
                    self._tile(place, row, run.start + number * self.config.tile_ow, run)

    @contextmanager
    def _task_range(self, rows: Any, size: int) -> Iterator[Any]:
        """Loops over the units (rows or flattened tiles) of task ``rows``."""
        if self.units % size == 0:
            with mk.index_loop(size, rows * size) as unit:
                yield unit
        else:
            with mk.index_loop(
                tirx.min(mk.index(size), self.units - rows * size), rows * size
            ) as u:
                yield u

    def _tile(self, place: Place, row: Any, column: Any, run: mk.ColumnTiles) -> None:
        """One register tile: start, multiply-adds, end."""
        tile = mk.RegisterTile(place.blocks, run.width, self.simd)
        if self.chunks == 1:
            self._start(tile, place)
        else:
            with builder.If(place.chunk == 0):
                with builder.Then():
                    self._start(tile, place)
                with builder.Else():
                    self._resume(tile, place, row, column)
        if self.geometry.channels_first:
            self._accumulate_channels_first(tile, place, row, column, run)
        else:
            self._accumulate(tile, place, row, column, run)
        if self.chunks == 1:
            self._finish(tile, place, row, column, last=True)
        else:
            with builder.If(place.chunk == self.chunks - 1):
                with builder.Then():
                    self._finish(tile, place, row, column, last=True)
                with builder.Else():
                    self._finish(tile, place, row, column, last=False)

    def _start(self, tile: mk.RegisterTile, place: Place) -> None:
        zero = mk.constant(0.0, self.lanes)
        values = [
            zero
            if self.bias is None
            else mk.load(self.bias, ((place.block + t) * self.lanes,), self.lanes)
            for t in range(tile.rows)
        ]
        tile.fill(values)

    def _out(self, place: Place, t: int, row: Any, column: Any) -> tuple[Any, ...]:
        return (place.batch, place.block + t, row, column, mk.index(0))

    def _resume(self, tile: mk.RegisterTile, place: Place, row: Any, column: Any) -> None:
        for t in range(tile.rows):
            for i in range(tile.columns):
                sums = mk.load(self.y, self._out(place, t, row, column + i), self.lanes)
                tile.set(t, i, sums)

    def _finish(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, *, last: bool
    ) -> None:
        for t in range(tile.rows):
            for i in range(tile.columns):
                place_out = self._out(place, t, row, column + i)
                value = tile.get(t, i)
                if last and self.residual is not None:
                    value = value + mk.load(self.residual, place_out, self.lanes)
                if last:
                    value = mk.activate(value, self.w.epilogue.activation, self.simd)
                mk.store(self.y, place_out, value, self.lanes)

    def _kernel_rows(self, row: Any) -> tuple[Any, Any]:
        w = self.w
        if self.geometry.flat:
            return 0, 1
        return mk.clipped_taps(
            row,
            in_extent=w.in_h,
            kernel=w.kernel_h,
            stride=w.stride_h,
            pad=w.pad_top,
            dilation=w.dilation_h,
            out=w.out_h,
        )

    def _weight_row(self, place: Place, position: Any, blocks: int) -> list[Any]:
        """The weight vectors of one step: ``position`` counts the tile's steps."""
        width = blocks * self.lanes
        steps = self.geometry.group_in * self.geometry.taps
        base = place.block * (self.lanes * steps) + position * width
        return [mk.load(self.weights, (base + t * self.lanes,), self.lanes) for t in range(blocks)]

    def _accumulate(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, run: mk.ColumnTiles
    ) -> None:
        """Loops kernel row, run of kernel columns, group of input channels."""
        w, chunk = self.w, self.config.chunk_ic
        unroll = self.config.unroll_ic
        first, count = self._kernel_rows(row)
        with mk.index_loop(count, first) as kh:
            in_row = row * w.stride_h + kh * w.dilation_h - w.pad_top
            for first_kw, kws, columns in mk.tap_runs(run, w.kernel_w):
                with mk.index_loop(kws, first_kw) as kw:
                    first_column = (
                        (column + columns[0]) * w.stride_w + kw * w.dilation_w - w.pad_left
                    )
                    pixel = mk.pixel_index(in_row, w.in_w, first_column)
                    tap = (place.chunk * w.kernel_h + kh) * w.kernel_w + kw
                    step = Step(tile, place, pixel, tap * chunk, columns)
                    if chunk // unroll:
                        with mk.index_loop(chunk // unroll) as turn:
                            self._channels(step, turn * unroll, unroll)
                    if chunk % unroll:
                        self._channels(step, mk.index(chunk - chunk % unroll), chunk % unroll)

    def _channels(self, step: Step, channel: Any, count: int) -> None:
        """``count`` input channels from ``channel`` of the chunk, for one kernel tap."""
        place, lanes = step.place, self.lanes
        absolute = place.chunk * self.config.chunk_ic + channel
        group_block = place.group * (self.geometry.group_in // lanes)
        block, lane = group_block + absolute // lanes, absolute % lanes
        whole = self.simd.by_lane and count == lanes
        sources: dict[int, Any] = {}

        def source(i: int, u: int, width: int) -> Any:
            pixel = step.pixel + (i - step.columns[0]) * self.w.stride_w
            if self.geometry.nchw:
                return mk.load(self.x, (place.batch, absolute + u, mk.index(0), pixel), width)
            indices = (place.batch, block, mk.index(0), pixel, lane + u)
            return mk.load(self.x, indices, width)

        if whole:
            sources = {i: source(i, 0, lanes) for i in step.columns}
        for u in range(count):
            weights = self._weight_row(place, step.position + channel + u, step.tile.rows)
            for i in step.columns:
                scalar = mk.extract_lane(sources[i], u) if whole else source(i, u, 1)
                self._products(step.tile, i, scalar, weights)

    def _products(self, tile: mk.RegisterTile, i: int, scalar: Any, weights: list[Any]) -> None:
        spread = mk.broadcast(scalar, self.lanes)
        if not self.simd.by_lane:
            spread = builder.Bind(spread)
        for t, weight in enumerate(weights):
            tile.multiply_add(t, i, spread, weight)

    def _accumulate_channels_first(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, run: mk.ColumnTiles
    ) -> None:
        """Plain input: loops input channel and kernel row; the kernel's columns are unrolled."""
        w = self.w
        first, count = self._kernel_rows(row)
        taps = [
            (i, kw, i * w.stride_w + kw * w.dilation_w - w.pad_left)
            for kw in range(w.kernel_w)
            for i in range(run.width)
            if (i, kw) not in run.missing
        ]
        if not taps:
            return
        with mk.index_loop(w.in_channels) as channel, mk.index_loop(count, first) as kh:
            in_row = row * w.stride_h + kh * w.dilation_h - w.pad_top
            positions = [position for _, _, position in taps]
            left = min(positions)
            pixel = mk.pixel_index(in_row, w.in_w, column * w.stride_w + left)

            def fetch(position: int, width: int) -> Any:
                indices = (place.batch, channel, mk.index(0), pixel + (position - left))
                return mk.load(self.x, indices, width)

            scalars = mk.vectors_of_lanes(fetch, positions, self.lanes)
            for kw in range(w.kernel_w):
                columns = [(i, position) for i, k, position in taps if k == kw]
                if not columns:
                    continue
                tap = (channel * w.kernel_h + kh) * w.kernel_w + kw
                weights = self._weight_row(place, tap, tile.rows)
                for i, position in columns:
                    self._products(tile, i, scalars[position], weights)
