"""Emits Strassen's 1x1 convolution, whose schedule :mod:`.conv2d_strassen` describes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TaskSplit
from edgewright.schedules.cpu.conv2d_strassen_config import (
    INPUT_SUMS,
    PRODUCTS,
    Conv2dStrassenConfig,
    Geometry,
    Product,
    Quarter,
)
from edgewright.schedules.streams import (
    StepRegisters,
    VectorStream,
    imported_loads,
    lane_steps,
    load_sizes,
    multiply_steps,
)

__all__ = ["StrassenEmitter"]


@dataclass(frozen=True)
class Place:
    """Where a register tile is: image, first of its output blocks in a half, first pixel there."""

    batch: Any
    block: Any
    blocks: int
    pixel: Any
    width: int


class StrassenEmitter:
    """Emits the schedule of one kernel.

    Args:
        geometry: the workload.
        config: tile sizes.
        sums: how the pixels are cut into tasks that add up inputs.
        simd: the instruction set's vectors.
    """

    def __init__(
        self, geometry: Geometry, config: Conv2dStrassenConfig, sums: TaskSplit, simd: mk.Simd
    ) -> None:
        self.g = geometry
        self.w = geometry.workload
        self.config = config
        self.sum_split = sums
        self.simd = simd
        self.lanes = simd.lanes
        self.full_tiles = geometry.pixels // config.tile_ow
        self.tail = geometry.pixels % config.tile_ow

    def emit(self) -> None:
        """The whole function: parameters x, w, b where biased, r where residual, y."""
        g, w, lanes = self.g, self.w, self.lanes
        image = (w.in_h, w.in_w, lanes)
        self.x = mk.declare("x", (w.batch, 2 * g.in_blocks, *image))
        ahead = self.config.prefetch_bytes // 4
        self.weights = mk.declare("w", (g.weight_elements + ahead,))
        self.bias = mk.declare("b", (2 * g.out_blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, 2 * g.out_blocks, *image)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)
        shape = (w.batch, len(INPUT_SUMS), g.in_blocks, g.pixels, lanes)
        self.sums = builder.alloc_buffer(shape, "float32")
        self._add_inputs()
        self._multiply()

    def _add_inputs(self) -> None:
        """First phase: the sums of quarters of the input."""
        g, split = self.g, self.sum_split
        with builder.parallel(0, self.w.batch * g.in_blocks * split.chunks) as task:
            first = task % split.chunks * split.size
            block = task // split.chunks % g.in_blocks
            batch = task // (split.chunks * g.in_blocks)
            extent: Any = split.size
            if split.size * split.chunks != g.pixels:
                extent = tirx.min(mk.index(split.size), g.pixels - first)
            with mk.index_loop(extent, first) as pixel:
                quarters = {
                    (k, p): mk.load(self.x, self._input((k, p), batch, block, pixel), self.lanes)
                    for k in range(2)
                    for p in range(2)
                }
                for number, terms in enumerate(INPUT_SUMS):
                    (_, first_quarter), (sign, other) = terms
                    left, right = quarters[first_quarter], quarters[other]
                    value = left + right if sign > 0 else left - right
                    place = (batch, mk.index(number), block, pixel, mk.index(0))
                    mk.store(self.sums, place, value, self.lanes)

    def _input(self, quarter: Quarter, batch: Any, block: Any, pixel: Any) -> tuple[Any, ...]:
        half, side = quarter
        g = self.g
        channels = half * g.in_blocks + block
        return (batch, channels, mk.index(0), side * g.pixels + pixel, mk.index(0))

    def _multiply(self) -> None:
        """Second phase: the products of a tile of output blocks and some pixel tiles."""
        g, tile = self.g, self.config.tile_oc
        full, tail = g.out_blocks // tile, g.out_blocks % tile
        oc_tiles = full + (tail > 0)
        rows = max(1, math.ceil(self.full_tiles / self.config.chunk_rows))
        count = self.w.batch * oc_tiles * rows
        with builder.parallel(0, count) as task, imported_loads(self.simd):
            self._open()
            row, oc = task % rows, task // rows % oc_tiles
            batch = task // (rows * oc_tiles)
            if not tail:
                self._products(batch, oc * tile, tile, row, rows)
                return
            if not full:
                self._products(batch, mk.index(0), tail, row, rows)
                return
            with builder.If(oc < full):
                with builder.Then():
                    self._products(batch, oc * tile, tile, row, rows)
                with builder.Else():
                    self._products(batch, mk.index(full * tile), tail, row, rows)

    def _open(self) -> None:
        """The pointers of a task's streams, and the distances that they move by."""
        if not self.simd.streams:
            return
        self.weight_stream = VectorStream(self.weights)
        self.input_stream = VectorStream(self.x)
        widths = [width for width in (self.config.tile_ow, self.tail) if width]
        steps = {self._last_step(width, of_sum) for width in widths for of_sum in (False, True)}
        self.steps = StepRegisters(steps)

    def _last_step(self, width: int, of_sum: bool) -> int:
        """Elements from the inputs of a block's last load to those of the next block's first."""
        plane = (1 if of_sum else 2) * self.g.pixels * self.lanes
        return plane - (width - load_sizes(width)[-1]) * self.lanes

    def _products(self, batch: Any, block: Any, blocks: int, row: Any, rows: int) -> None:
        """All products of a task, one after the other: the weights of each stay in level 1."""
        size, width = self.config.chunk_rows, self.config.tile_ow
        block = builder.Bind(block)
        for number, product in enumerate(PRODUCTS):
            if self.full_tiles:
                extent: Any = size
                if rows * size != self.full_tiles:
                    extent = tirx.min(mk.index(size), self.full_tiles - row * size)
                with mk.index_loop(extent, row * size) as unit:
                    place = Place(batch, block, blocks, unit * width, width)
                    self._tile(number, product, place)
            if self.tail:
                last = Place(batch, block, blocks, mk.index(self.full_tiles * width), self.tail)
                if rows == 1:
                    self._tile(number, product, last)
                else:
                    with builder.If(row == rows - 1), builder.Then():
                        self._tile(number, product, last)

    def _tile(self, number: int, product: Product, place: Place) -> None:
        """One register tile of one product: start, multiply-adds, what it is added to."""
        tile = mk.RegisterTile(place.blocks, place.width, self.simd)
        alone = len(product.adds) == 1
        for t in range(tile.rows):
            for i in range(tile.columns):
                start = mk.constant(0.0, self.lanes)
                if alone:
                    start = mk.load(self.y, self._out(product.adds[0][1], place, t, i), self.lanes)
                tile.set(t, i, start)
        self._accumulate(tile, number, product, place)
        for t in range(tile.rows):
            for i in range(tile.columns):
                value = builder.Bind(tile.get(t, i))
                for sign, quarter in product.adds:
                    self._add(product, sign, quarter, value, self._out(quarter, place, t, i), alone)

    def _add(
        self,
        product: Product,
        sign: int,
        quarter: Quarter,
        value: Any,
        at: tuple[Any, ...],
        alone: bool,
    ) -> None:
        """Adds a product's vector to one of the result; the last product ends it."""
        if quarter not in product.sets and not alone:
            before = mk.load(self.y, at, self.lanes)
            value = before + value if sign > 0 else before - value
        if quarter in product.ends:
            if self.bias is not None:
                value = value + mk.load(self.bias, (at[1] * self.lanes,), self.lanes)
            if self.residual is not None:
                value = value + mk.load(self.residual, at, self.lanes)
            value = mk.activate(value, self.w.epilogue.activation, self.simd)
        mk.store(self.y, at, value, self.lanes)

    def _out(self, quarter: Quarter, place: Place, t: int, i: int) -> tuple[Any, ...]:
        half, side = quarter
        block = half * self.g.out_blocks + place.block + t
        pixel = side * self.g.pixels + place.pixel + i
        return (place.batch, block, mk.index(0), pixel, mk.index(0))

    def _accumulate(
        self, tile: mk.RegisterTile, number: int, product: Product, place: Place
    ) -> None:
        """``tile += weights · input`` over half the input channels."""
        unroll, channels = self.config.unroll_ic, self.g.channels
        tile_elements = place.blocks * self.lanes * channels
        before = place.block * (len(PRODUCTS) * self.lanes * channels)
        base = builder.Bind(before + number * tile_elements)
        if self.simd.streams:
            self._stream(tile, product, place, base)
            return
        source = self._source(product, place)
        with mk.index_loop(channels // unroll) as turn:
            channel = turn * unroll
            block, lane = channel // self.lanes, channel % self.lanes
            by_lane = self.simd.by_lane and unroll == self.lanes
            vectors = (
                [source(i, block, lane, unroll) for i in range(tile.columns)] if by_lane else []
            )
            for u in range(unroll):
                at = base + (channel + u) * (place.blocks * self.lanes)
                row = [self._weight(at + t * self.lanes) for t in range(tile.rows)]
                for i in range(tile.columns):
                    if by_lane:
                        spread = mk.broadcast(mk.extract_lane(vectors[i], u), self.lanes)
                    else:
                        scalar = source(i, block, lane + u, 1)
                        spread = builder.Bind(mk.broadcast(scalar, self.lanes))
                    for t, weight in enumerate(row):
                        tile.multiply_add(t, i, spread, weight)

    def _stream(self, tile: mk.RegisterTile, product: Product, place: Place, weights: Any) -> None:
        """As :meth:`_accumulate`, through streams, block by block of channels."""
        of_sum, width = len(product.inputs) > 1, place.width
        inputs, last_step = self.input_stream, self._last_step(width, of_sum)
        zero = mk.index(0)
        if of_sum:
            which = mk.index(INPUT_SUMS.index(product.inputs))
            inputs.start((place.batch, which, zero, place.pixel, zero), self.sums)
        else:
            inputs.start(self._input(product.inputs[0][1], place.batch, zero, place.pixel))
        self.weight_stream.start((weights,))

        def block() -> None:
            products = lane_steps(list(enumerate(inputs.read(width))))
            step = self.steps.get(last_step)
            multiply_steps(tile, products, self.weight_stream, inputs, step)

        blocks = self.g.in_blocks
        turn = max(1, min(blocks, self.config.unroll_ic // self.lanes))
        with mk.index_loop(blocks // turn):
            for _ in range(turn):
                block()
        for _ in range(blocks % turn):
            block()

    def _source(self, product: Product, place: Place) -> Callable[[int, Any, Any, int], Any]:
        """Loads ``count`` channels of a pixel of the product's input: a quarter, or a sum."""

        def load(i: int, block: Any, lane: Any, count: int) -> Any:
            pixel = place.pixel + i
            if len(product.inputs) == 1:
                *indices, _ = self._input(product.inputs[0][1], place.batch, block, pixel)
                return mk.load(self.x, (*indices, lane), count)
            which = mk.index(INPUT_SUMS.index(product.inputs))
            return mk.load(self.sums, (place.batch, which, block, pixel, lane), count)

        return load

    def _weight(self, position: Any) -> Any:
        ahead = self.config.prefetch_bytes // 4
        if ahead:
            mk.prefetch(self.weights, position + ahead)
        return mk.load(self.weights, (position,), self.lanes)
