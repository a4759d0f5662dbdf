"""Emits the direct convolution's schedule, which :mod:`.conv2d_direct` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_direct_config import (
    Conv2dDirectConfig,
    Geometry,
    Place,
    Step,
)
from edgewright.schedules.cpu.conv2d_direct_plain import (
    UNROLLED_TAPS,
    PlainLoads,
    PlainRow,
    PlainStreams,
)
from edgewright.schedules.cpu.conv2d_direct_streams import BlockedStreams
from edgewright.schedules.streams import imported_loads

__all__ = ["DirectEmitter"]


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
        #: Where this convolution's packed weights begin, if it is one of several.
        self.first_weight: Any = 0

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
            with imported_loads(self.simd):
                self._open()
                self._oc_tiles(batch, group, oc_task, rows)

    def _open(self) -> None:
        """What a task reads with."""
        if self.geometry.streams and not self.geometry.nchw:
            self.streams = BlockedStreams(self.w, self.x, self.weights, self.column_tiles)
        elif self.geometry.streams:
            self.plain: PlainStreams | PlainLoads = PlainStreams(
                self.w, self.x, self.weights, self.column_tiles
            )
        elif self.geometry.channels_first:
            self.plain = PlainLoads(self.w, self.x, self.weights, self.simd)

    def _declare(self) -> None:
        w, g = self.w, self.geometry
        out_blocks = w.groups * g.group_blocks
        if g.nchw:
            shape: tuple[int, ...] = (w.batch, w.in_channels, w.in_h, w.in_w)
            self.x = mk.declare("x", shape, align=mk.ANY_ALIGNMENT)
        else:
            in_blocks = math.ceil(w.in_channels / self.lanes)
            self.x = mk.declare("x", (w.batch, in_blocks, w.in_h, w.in_w, self.lanes))
        weights = w.groups * g.weight_elements
        self.weights = mk.declare("w", (weights + self.config.prefetch_bytes // 4,))
        self.bias = mk.declare("b", (out_blocks * self.lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, out_blocks, w.out_h, w.out_w, self.lanes)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)

    def _oc_tiles(self, batch: Any, group: Any, oc_task: Any, rows: Any) -> None:
        """The output-channel tiles of a task: full ones in a loop; the last task has the tail."""
        tile, size = self.config.tile_oc, self.config.group_oc
        shared, blocks = self.geometry.shared_ic, self.geometry.group_blocks
        full = (blocks - (shared > 1)) // tile
        tail = blocks - full * tile
        last = math.ceil(self.oc_tiles / size) - 1
        first_block = group * blocks

        def full_tiles() -> None:
            first = oc_task * size if last else mk.index(0)
            count: Any = min(size, full)
            if full % count:
                count = tirx.min(mk.index(size), full - first)
            with mk.index_loop(count, first) as oc:
                self._oc_tile(batch, group, first_block + oc * tile, tile, rows)

        def tail_tile() -> None:
            self._oc_tile(batch, group, first_block + full * tile, tail, rows, shared)

        if not tail:
            full_tiles()
        elif not full:
            tail_tile()
        elif last == 0:
            full_tiles()
            tail_tile()
        elif full % size:
            full_tiles()
            with builder.If(oc_task == last), builder.Then():
                tail_tile()
        else:
            mk.choose([(oc_task < last, full_tiles), (None, tail_tile)])

    def _oc_tile(
        self, batch: Any, group: Any, block: Any, blocks: int, rows: Any, shared: int = 1
    ) -> None:
        """One tile of ``blocks`` output-channel blocks from ``block``, over a task's rows."""
        with mk.index_loop(self.chunks) as chunk:
            place = Place(batch, group, builder.Bind(block), blocks, chunk, shared)
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
        w = self.w
        first, end = mk.interior_rows(w)
        unrolls = self.geometry.channels_first and w.kernel_h * w.kernel_w <= UNROLLED_TAPS
        split = self.geometry.streams and unrolls and (first, end) != (0, w.out_h)
        with self._task_range(rows, self.config.chunk_rows) as row:
            if not split:
                self._row(place, row)
                return
            with builder.If(tirx.all(row >= first, row < end)):
                with builder.Then():
                    self._row(replace(place, interior=True), row)
                with builder.Else():
                    self._row(place, row)

    def _row(self, place: Place, row: Any) -> None:
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
            self._accumulate_plain(tile, place, row, column, run)
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
            else self._shared_out(
                place, t, mk.load(self.bias, ((place.block + t) * self.lanes,), self.lanes)
            )
            for t in range(tile.rows)
        ]
        tile.fill(values)

    def _shared_out(self, place: Place, t: int, sums: Any) -> Any:
        """Sums over output channels as the accumulators of row ``t`` hold them.

        Where input channels share the row's vectors, the sums are the first one's.
        """
        share, zero = place.shared, mk.constant(0.0, self.lanes)
        if share == 1 or t < place.blocks - 1:
            return sums
        lanes = range(self.lanes)
        order = [self.lanes if lane % share else lane // share for lane in lanes]
        return tirx.Shuffle([sums, zero], order)

    def _sums(self, tile: mk.RegisterTile, place: Place, t: int, i: int) -> Any:
        """An accumulator's sums over output channels; lanes beyond them are finite."""
        share, value = place.shared, tile.get(t, i)
        if share == 1 or t < place.blocks - 1:
            return value
        parts = [
            tirx.Shuffle([value], [*range(p, self.lanes, share)] * share) for p in range(share)
        ]
        while len(parts) > 1:
            parts = [left + right for left, right in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def _out(self, place: Place, t: int, row: Any, column: Any) -> tuple[Any, ...]:
        return (place.batch, place.block + t, row, column, mk.index(0))

    def _resume(self, tile: mk.RegisterTile, place: Place, row: Any, column: Any) -> None:
        for t in range(tile.rows):
            for i in range(tile.columns):
                sums = mk.load(self.y, self._out(place, t, row, column + i), self.lanes)
                tile.set(t, i, self._shared_out(place, t, sums))

    def _finish(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, *, last: bool
    ) -> None:
        for t in range(tile.rows):
            for i in range(tile.columns):
                place_out = self._out(place, t, row, column + i)
                value = self._sums(tile, place, t, i)
                if last and self.residual is not None:
                    value = value + mk.load(self.residual, place_out, self.lanes)
                if last:
                    value = mk.activate(value, self.w.epilogue.activation, self.simd)
                mk.store(self.y, place_out, value, self.lanes)

    def _kernel_rows(self, place: Place, row: Any) -> tuple[Any, Any]:
        w = self.w
        if self.geometry.flat or place.interior:
            return 0, w.kernel_h
        return mk.clipped_taps(
            row,
            in_extent=w.in_h,
            kernel=w.kernel_h,
            stride=w.stride_h,
            pad=w.pad_top,
            dilation=w.dilation_h,
            out=w.out_h,
        )

    def _weight_index(self, place: Place, position: Any) -> Any:
        """Where a tile's weight vector ``position`` is."""
        steps = self.geometry.group_in * self.geometry.taps
        return self.first_weight + place.block * (self.lanes * steps) + position * self.lanes

    def _weights(self, place: Place, position: Any, count: int) -> list[Any]:
        """``count`` weight vectors of a tile from its vector ``position`` on."""
        base = self._weight_index(place, position)
        places = [base + t * self.lanes for t in range(count)]
        ahead = self.config.prefetch_bytes // 4
        for place_ahead in places if ahead else ():
            mk.prefetch(self.weights, place_ahead + ahead)
        return [mk.load(self.weights, (at,), self.lanes) for at in places]

    def _accumulate(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, run: mk.ColumnTiles
    ) -> None:
        """Loops kernel row, run of kernel columns, group of input channels."""
        w, chunk = self.w, self.config.chunk_ic
        vectors = self._vectors(place, chunk)
        first, count = self._kernel_rows(place, row)
        with mk.index_loop(count, first) as kh:
            in_row = row * w.stride_h + kh * w.dilation_h - w.pad_top
            for first_kw, kws, columns in mk.tap_runs(run, w.kernel_w):
                with mk.index_loop(kws, first_kw) as kw:
                    first_column = (
                        (column + columns[0]) * w.stride_w + kw * w.dilation_w - w.pad_left
                    )
                    pixel = mk.pixel_index(in_row, w.in_w, first_column)
                    tap = (place.chunk * w.kernel_h + kh) * w.kernel_w + kw
                    step = Step(tile, place, pixel, tap * vectors, columns)
                    self._tap(step)

    def _tap(self, step: Step) -> None:
        """All input channels of a chunk, for one kernel tap."""
        chunk, unroll = self.config.chunk_ic, self.config.unroll_ic
        if self.geometry.streams and not self.geometry.nchw:
            place = step.place
            block = (place.group * self.geometry.group_in + place.chunk * chunk) // self.lanes
            first = (place.batch, block, mk.index(0), step.pixel, mk.index(0))
            self.streams.start(first, self._weight_index(place, step.position))
            self.streams.emit(step.tile, step.columns, chunk, unroll)
            return
        if chunk // unroll:
            with mk.index_loop(chunk // unroll) as turn:
                self._channels(step, turn * unroll, unroll)
        if chunk % unroll:
            self._channels(step, mk.index(chunk - chunk % unroll), chunk % unroll)

    @staticmethod
    def _vectors(place: Place, channels: Any) -> Any:
        """Weight vectors of a tile for ``channels`` input channels of one tap."""
        whole, share = place.blocks - (place.shared > 1), place.shared
        if share == 1:
            return channels * whole
        return channels * whole + (channels + (share - 1)) // share

    def _channels(self, step: Step, channel: Any, count: int) -> None:
        """``count`` input channels from ``channel`` of the chunk, for one kernel tap."""
        place, lanes = step.place, self.lanes
        absolute = place.chunk * self.config.chunk_ic + channel
        group_block = place.group * (self.geometry.group_in // lanes)
        block, lane = group_block + absolute // lanes, absolute % lanes
        whole = self.simd.by_lane and count == lanes
        share, rows = place.shared, step.tile.rows - (place.shared > 1)
        position = step.position + self._vectors(place, channel)
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
            weights = self._weights(place, position, rows)
            position = position + rows
            for i in step.columns if rows else ():
                scalar = mk.extract_lane(sources[i], u) if whole else source(i, u, 1)
                self._products(step.tile, i, scalar, weights)
            if share > 1 and (u % share == share - 1 or u == count - 1):
                (weight,) = self._weights(place, position, 1)
                position = position + 1
                for i in step.columns:
                    few = source(i, u - u % share, share)
                    spread = tirx.Shuffle([few] * (lanes // share), [*range(lanes)])
                    step.tile.multiply_add(rows, i, spread, weight)

    def _products(self, tile: mk.RegisterTile, i: int, scalar: Any, weights: list[Any]) -> None:
        spread = mk.broadcast(scalar, self.lanes)
        if not self.simd.by_lane:
            spread = builder.Bind(spread)
        for t, weight in enumerate(weights):
            tile.multiply_add(t, i, spread, weight)

    def _accumulate_plain(
        self, tile: mk.RegisterTile, place: Place, row: Any, column: Any, run: mk.ColumnTiles
    ) -> None:
        """Plain input: loops input channel and kernel row; the kernel's columns are unrolled."""
        w = self.w

        def weight(channel: Any, kh: Any) -> Any:
            tap = (channel * w.kernel_h + kh) * w.kernel_w
            return self._weight_index(place, tap * place.blocks)

        top, left = row * w.stride_h - w.pad_top, column * w.stride_w
        where = PlainRow(place.batch, top, left, self._kernel_rows(place, row), weight)
        self.plain.emit(tile, where, run)
