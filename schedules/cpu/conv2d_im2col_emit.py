"""Emits the im2col convolution's schedule, which :mod:`.conv2d_im2col` describes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_im2col_config import Conv2dIm2colConfig, Im2colGeometry

__all__ = ["Im2colEmitter"]

#: Input channels in one turn of the innermost loop, where each is read for itself.
UNROLL_IC = 4


@dataclass(frozen=True)
class _Block:
    """A block of the column matrix: image, group, first pixel, its number, first step, steps."""

    batch: Any
    group: Any
    pixel: Any
    number: Any
    step: Any
    steps: Any
    chunk: Any


class Im2colEmitter:
    """Emits the schedule of one kernel.

    Args:
        geometry: the workload.
        config: tile sizes.
        simd: the instruction set's vectors.
    """

    def __init__(self, geometry: Im2colGeometry, config: Conv2dIm2colConfig, simd: mk.Simd) -> None:
        self.g = geometry
        self.w = geometry.workload
        self.config = config
        self.simd = simd
        self.lanes = geometry.lanes
        self.chunks = geometry.chunks(config)
        self.px_blocks = geometry.px_blocks(config)
        self.oc_tiles = geometry.oc_tiles(config)

    def emit(self) -> None:
        """The whole function: x, w, b where biased, r where residual, scratch, y."""
        self._declare()
        groups = self.w.groups
        oc_tasks = math.ceil(self.oc_tiles / self.config.group_oc)
        with builder.parallel(0, self.w.batch * groups * self.px_blocks * oc_tasks) as task:
            oc_task = task % oc_tasks
            number = builder.Bind(task // oc_tasks % self.px_blocks)
            group = task // (oc_tasks * self.px_blocks) % groups
            batch = task // (oc_tasks * self.px_blocks * groups)
            pixel = builder.Bind(number * self.config.block_px)
            with mk.index_loop(self.chunks) as chunk:
                step: Any = chunk * self.config.chunk_steps
                steps: Any = self.config.chunk_steps
                if self.chunks > 1:
                    step = builder.Bind(step)
                    steps = builder.Bind(tirx.min(mk.index(steps), self.g.steps - step))
                block = _Block(batch, group, pixel, number, step, steps, chunk)
                self._fill(block)
                self._multiply(block, oc_task)

    def _declare(self) -> None:
        w, g = self.w, self.g
        out_blocks = w.groups * g.group_blocks
        if g.nchw:
            shape: tuple[int, ...] = (w.batch, w.in_channels, w.in_h, w.in_w)
            self.x = mk.declare("x", shape, align=mk.ANY_ALIGNMENT)
        else:
            in_blocks = math.ceil(w.in_channels / self.lanes)
            self.x = mk.declare("x", (w.batch, in_blocks, w.in_h, w.in_w, self.lanes))
        self.weights = mk.declare("w", (out_blocks * self.lanes * g.depth,))
        self.bias = mk.declare("b", (out_blocks * self.lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, out_blocks, w.out_h, w.out_w, self.lanes)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.scratch = mk.declare("scratch", (g.scratch_elements(self.config),))
        self.y = mk.declare("y", out_shape)

    # -- the column matrix ----------------------------------------------------------------------

    def _fill(self, block: _Block) -> None:
        """Copies the inputs of a block's pixels and steps, zeros where they lie in the padding."""
        if self.g.nchw:
            self._fill_plain(block)
            return
        zero = mk.constant(0.0, self.lanes)
        with mk.index_loop(block.steps) as place:
            step = builder.Bind(block.step + place)
            in_block = builder.Bind(
                block.group * math.ceil(self.g.group_in / self.lanes) + step // self.g.taps
            )

            def copy(column: Any, pixel: Any) -> None:
                if pixel is None:
                    value = zero
                else:
                    source = (block.batch, in_block, mk.index(0), pixel, mk.index(0))
                    value = mk.load(self.x, source, self.lanes)
                at = (place * self.config.block_px + column) * self.lanes
                mk.store(self.scratch, (at,), value, self.lanes)

            self._columns(block, step % self.g.taps, copy)

    def _fill_plain(self, block: _Block) -> None:
        """The same, element by element: neighbours of a column lie in rows of the image."""
        first = builder.Bind(block.step * self.lanes)
        count = tirx.min(block.steps * self.lanes, self.g.depth - first)
        with mk.index_loop(count) as place:
            element = builder.Bind(first + place)

            def copy(column: Any, pixel: Any) -> None:
                value = mk.constant(0.0, 1)
                if pixel is not None:
                    source = (block.batch, element // self.g.taps, mk.index(0), pixel)
                    value = mk.load(self.x, source, 1)
                row = place // self.lanes * self.config.block_px + column
                at = row * self.lanes + place % self.lanes
                mk.store(self.scratch, (at,), value, 1)

            self._columns(block, element % self.g.taps, copy)

    def _columns(self, block: _Block, tap: Any, copy: Callable[[Any, Any], None]) -> None:
        """Calls ``copy(column of the block, input pixel or None)`` in loops over output rows."""
        w = self.w
        kh, kw = builder.Bind(tap // w.kernel_w), builder.Bind(tap % w.kernel_w)
        end = builder.Bind(tirx.min(block.pixel + self.config.block_px, mk.index(self.g.pixels)))
        first_row = builder.Bind(block.pixel // w.out_w)
        rows = tirx.floordiv(end - 1, w.out_w) - first_row + 1
        left = kw * w.dilation_w - w.pad_left
        # Output columns whose input column exists.
        low = builder.Bind(tirx.floordiv(w.stride_w - 1 - left, w.stride_w))
        high = builder.Bind(tirx.floordiv(w.in_w - 1 - left, w.stride_w) + 1)
        with mk.index_loop(rows, first_row) as row:
            row_pixel = builder.Bind(row * w.out_w)
            start = builder.Bind(tirx.max(mk.index(0), block.pixel - row_pixel))
            stop = builder.Bind(tirx.min(mk.index(w.out_w), end - row_pixel))
            in_row = builder.Bind(row * w.stride_h + kh * w.dilation_h - w.pad_top)
            inside = tirx.all(in_row >= 0, in_row < w.in_h)
            first = builder.Bind(tirx.min(stop, tirx.max(start, low)))
            last = tirx.Select(inside, tirx.max(first, tirx.min(stop, high)), first)
            last = builder.Bind(last)
            offset = builder.Bind(row_pixel - block.pixel)
            with mk.index_loop(first - start, start) as column:
                copy(offset + column, None)
            with mk.index_loop(last - first, first) as column:
                copy(
                    offset + column,
                    mk.pixel_index(in_row, w.in_w, column * w.stride_w + left),
                )
            with mk.index_loop(stop - last, last) as column:
                copy(offset + column, None)

    # -- the matrix product ---------------------------------------------------------------------

    def _multiply(self, block: _Block, oc_task: Any) -> None:
        """All register tiles of a block: output-channel tiles, then pixels."""
        tile, blocks = self.config.tile_oc, self.g.group_blocks
        whole, tail = blocks // tile, blocks % tile
        base = block.group * blocks
        count: Any = min(self.config.group_oc, whole)
        first = oc_task * self.config.group_oc
        if math.ceil(self.oc_tiles / self.config.group_oc) * count > whole:
            left = tirx.max(mk.index(0), whole - first)
            count = builder.Bind(tirx.min(mk.index(self.config.group_oc), left))
        with mk.index_loop(count, first) as number:
            self._pixels(block, builder.Bind(base + number * tile), tile)
        if not tail:
            return
        if self.oc_tiles <= self.config.group_oc:
            self._pixels(block, builder.Bind(base + whole * tile), tail)
            return
        with builder.If(oc_task == (self.oc_tiles - 1) // self.config.group_oc), builder.Then():
            self._pixels(block, builder.Bind(base + whole * tile), tail)

    def _pixels(self, block: _Block, oc_block: Any, blocks: int) -> None:
        """Register tiles over a block's pixels; the tail belongs to the last block."""
        size, tile = self.config.block_px, self.config.tile_px
        whole, tail = self.g.pixels // tile, self.g.pixels % tile
        count: Any = min(size // tile, whole)
        if self.px_blocks * count > whole:
            left = whole - block.number * (size // tile)
            count = tirx.min(mk.index(size // tile), left)
        with mk.index_loop(count) as number:
            self._tile(block, oc_block, blocks, number * tile, tile)
        if not tail:
            return
        column = mk.index(self.g.pixels - tail) - block.pixel
        if self.px_blocks == 1:
            self._tile(block, oc_block, blocks, column, tail)
            return
        with builder.If(block.number == self.px_blocks - 1), builder.Then():
            self._tile(block, oc_block, blocks, column, tail)

    def _tile(self, block: _Block, oc_block: Any, blocks: int, column: Any, width: int) -> None:
        """One register tile: start, multiply-adds, end."""
        tile = mk.RegisterTile(blocks, width, self.simd)
        column = builder.Bind(column)
        place = (block, oc_block, column)
        self._by_chunk(block.chunk == 0, lambda yes: self._start(tile, place, first=yes))
        self._accumulate(tile, block, oc_block, column)
        is_last = block.chunk == self.chunks - 1
        self._by_chunk(is_last, lambda yes: self._finish(tile, place, last=yes))

    def _by_chunk(self, condition: Any, emit: Callable[[bool], None]) -> None:
        """Emits both cases, or the one where there is one chunk only."""
        if self.chunks == 1:
            emit(True)
            return
        with builder.If(condition):
            with builder.Then():
                emit(True)
            with builder.Else():
                emit(False)

    def _out(self, place: tuple[_Block, Any, Any], t: int, i: int) -> tuple[Any, ...]:
        block, oc_block, column = place
        return (block.batch, oc_block + t, mk.index(0), block.pixel + column + i, mk.index(0))

    def _start(self, tile: mk.RegisterTile, place: tuple[_Block, Any, Any], *, first: bool) -> None:
        """The bias, or the sums of the chunks so far."""
        if first:
            zero = mk.constant(0.0, self.lanes)
            starts = [
                zero
                if self.bias is None
                else mk.load(self.bias, ((place[1] + t) * self.lanes,), self.lanes)
                for t in range(tile.rows)
            ]
            tile.fill(starts)
            return
        for t in range(tile.rows):
            for i in range(tile.columns):
                tile.set(t, i, mk.load(self.y, self._out(place, t, i), self.lanes))

    def _finish(self, tile: mk.RegisterTile, place: tuple[_Block, Any, Any], *, last: bool) -> None:
        for t in range(tile.rows):
            for i in range(tile.columns):
                at, value = self._out(place, t, i), tile.get(t, i)
                if last and self.residual is not None:
                    value = value + mk.load(self.residual, at, self.lanes)
                if last:
                    value = mk.activate(value, self.w.epilogue.activation, self.simd)
                mk.store(self.y, at, value, self.lanes)

    def _accumulate(self, tile: mk.RegisterTile, block: _Block, oc_block: Any, column: Any) -> None:
        """Loops full steps, then those of the last block of input channels."""
        g, lanes, width = self.g, self.lanes, tile.rows * self.lanes
        base = builder.Bind(oc_block * (lanes * g.depth))
        if g.tail and self.chunks > 1:
            left = tirx.max(mk.index(0), g.whole_steps - block.step)
            whole: Any = builder.Bind(tirx.min(block.steps, left))
        else:
            whole = g.whole_steps if self.chunks == 1 else block.steps
        with mk.index_loop(whole) as place:
            weights = base + (block.step + place) * (lanes * width)
            self._step(tile, weights, self._source(place, column), lanes)
        if not g.tail:
            return
        with mk.index_loop(block.steps - whole, whole) as place:
            narrow = block.step + place - g.whole_steps
            depth = g.whole_steps * lanes + narrow * g.tail
            self._step(tile, base + depth * width, self._source(place, column), g.tail)

    def _source(self, place: Any, column: Any) -> Any:
        return (place * self.config.block_px + column) * self.lanes

    def _step(self, tile: mk.RegisterTile, weights: Any, source: Any, count: int) -> None:
        """``count`` elements of the columns from ``source``."""
        weights, source = builder.Bind(weights), builder.Bind(source)
        if self.simd.by_lane:
            self._products(tile, weights, source, mk.index(0), count)
            return
        unroll = min(UNROLL_IC, count)
        with mk.index_loop(count // unroll) as turn:
            self._products(tile, weights, source, turn * unroll, unroll)
        if count % unroll:
            self._products(tile, weights, source, mk.index(count - count % unroll), count % unroll)

    def _products(
        self, tile: mk.RegisterTile, weights: Any, source: Any, first: Any, count: int
    ) -> None:
        """Products of ``count`` elements from ``first`` of a step, unrolled."""
        lanes = self.lanes
        at = builder.Bind(weights + first * (tile.rows * lanes))
        start = builder.Bind(source + first)
        vectors = []
        if self.simd.by_lane:
            vectors = [
                mk.load(self.scratch, (start + i * lanes,), lanes) for i in range(tile.columns)
            ]
        for u in range(count):
            row = [
                mk.load(self.weights, (at + (u * tile.rows + t) * lanes,), lanes)
                for t in range(tile.rows)
            ]
            for i in range(tile.columns):
                if vectors:
                    spread = mk.broadcast(mk.extract_lane(vectors[i], u), lanes)
                else:
                    scalar = mk.load(self.scratch, (start + (i * lanes + u),), 1)
                    spread = builder.Bind(mk.broadcast(scalar, lanes))
                for t, weight in enumerate(row):
                    tile.multiply_add(t, i, spread, weight)
