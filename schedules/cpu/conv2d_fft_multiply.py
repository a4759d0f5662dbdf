"""Emits the products of the FFT convolution: a complex matrix product for each position.

::

    for position, register tile of output channels, run of image tiles:
      tile = 0
      for i: tile.re += v.re[i] * w.re[i] - v.im[i] * w.im[i]
             tile.im += v.re[i] * w.im[i] + v.im[i] * w.re[i]
      m[position, o, tile] = tile, or += tile after the first chunk of input channels

A depthwise convolution multiplies in place, vector by vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_fft_config import FftGeometry
from edgewright.schedules.cpu.conv2d_fft_transform import FftBuffers
from edgewright.schedules.cpu.conv2d_winograd_cost import tile_chunks

__all__ = ["Multiplication"]

#: Input channels in one turn of the innermost loop, where each is read for itself.
UNROLL_IC = 4


@dataclass(frozen=True)
class _Tile:
    """A register tile: real and imaginary sums, and where its operands and results are.

    Attributes:
        real, imaginary: accumulators.
        weights: first weight of the chunk of input channels.
        inputs: first element of the image tiles' inputs.
        products: first element of the results.
    """

    real: mk.RegisterTile
    imaginary: mk.RegisterTile
    weights: Any
    inputs: Any
    products: Any


def multiply_subtract(total: Any, left: Any, right: Any, simd: mk.Simd) -> Any:
    """``total - left * right`` in one instruction where there is one."""
    if simd.call_fma:
        return mk.multiply_add(total, left * mk.constant(-1.0, simd.lanes), right, simd)
    return total - left * right


class Multiplication:
    """Emits the products of one chunk of output channels.

    Args:
        geometry: the workload and its tile sizes.
        simd: the instruction set's vectors.
        head: elements of the packed weights before the first product's.
    """

    def __init__(self, geometry: FftGeometry, simd: mk.Simd, head: int) -> None:
        self.g = geometry
        self.config = geometry.config
        self.simd = simd
        self.head = head
        self.lanes = geometry.lanes
        self.channels = geometry.workload.in_channels

    def emit(self, buffers: FftBuffers, oc_chunk: Any, ic_chunk: Any, oc_tiles: Any) -> None:
        """All positions of a task's tiles.

        Args:
            buffers: the kernel's buffers.
            oc_chunk: number of the chunk of output channels.
            ic_chunk: number of the chunk of input channels.
            oc_tiles: full tiles of output channels of the chunk.
        """
        g, c = self.g, self.config
        self.buffers = buffers
        self.first = ic_chunk == 0 if g.ic_chunks > 1 else True
        self._channel_counts(ic_chunk)
        before = oc_chunk * (c.chunk_oc * g.positions * self.channels)
        start = builder.Bind(before + g.positions * oc_tiles * self.first_channel)
        tail = g.whole_oc_tiles * g.positions * self.channels * c.tile_oc
        tail = tail + g.positions * self.first_channel * g.tail_blocks
        with mk.index_loop(g.positions) as position:
            with mk.index_loop(oc_tiles) as tile:
                number = start + (position * oc_tiles + tile) * self.count
                self._image_tiles(position, number * c.tile_oc, tile * c.tile_oc, c.tile_oc)
            if g.tail_blocks:
                number = tail + position * self.count * g.tail_blocks
                with self._last_chunk(oc_chunk):
                    self._image_tiles(position, number, oc_tiles * c.tile_oc, g.tail_blocks)

    @contextmanager
    def _last_chunk(self, oc_chunk: Any) -> Iterator[None]:
        """What is emitted inside runs for the last chunk of output channels only."""
        if self.g.oc_chunks == 1:
            yield
            return
        with builder.If(oc_chunk == self.g.oc_chunks - 1), builder.Then():
            yield

    def _channel_counts(self, ic_chunk: Any) -> None:
        """Input channels of the chunk: the first, how many, full blocks, those left over.

        The last chunk may have fewer blocks; channels left over are its last.
        """
        g, c = self.g, self.config
        whole = self.channels // self.lanes
        self.tail = self.channels % self.lanes
        self.whole: Any = min(c.chunk_ic, whole)
        self.first_channel: Any = 0
        self.count: Any = self.channels
        self.has_tail: Any = True
        if g.ic_chunks == 1:
            return
        size = c.chunk_ic * self.lanes
        self.first_channel = builder.Bind(ic_chunk * size)
        self.count = builder.Bind(tirx.min(mk.index(size), self.channels - self.first_channel))
        if g.ic_chunks * c.chunk_ic != whole:
            self.whole = builder.Bind(self.count // self.lanes)
        self.has_tail = ic_chunk == g.ic_chunks - 1

    def _image_tiles(self, position: Any, number: Any, oc_block: Any, blocks: int) -> None:
        """Register tiles of ``blocks`` blocks of output channels over all image tiles.

        ``number`` complex vectors of weights lie before the tile's.
        """
        g, lanes = self.g, self.lanes
        in_blocks = min(self.config.chunk_ic, g.in_blocks)
        weights = builder.Bind(self.head + number * (2 * lanes))
        for first, count, width in tile_chunks(g.tiles, self.config.tile_t):
            with mk.index_loop(count) as number:
                image_tile = first + number * width
                inputs = position * (in_blocks * 2 * g.tiles) + image_tile
                products = (position * g.chunk_blocks + oc_block) * (2 * g.tiles) + image_tile
                tile = _Tile(
                    mk.RegisterTile(blocks, width, self.simd),
                    mk.RegisterTile(blocks, width, self.simd),
                    weights,
                    builder.Bind(self.buffers.inputs + inputs * lanes),
                    builder.Bind(self.buffers.products + products * lanes),
                )
                zero = [mk.constant(0.0, lanes)] * blocks
                tile.real.fill(zero)
                tile.imaginary.fill(zero)
                self._accumulate(tile)
                self._finish(tile)

    def _finish(self, tile: _Tile) -> None:
        """Stores the tile; chunks of input channels after the first add to what is there."""
        if self.first is True:
            self._store(tile, add=False)
            return
        with builder.If(self.first):
            with builder.Then():
                self._store(tile, add=False)
            with builder.Else():
                self._store(tile, add=True)

    def _store(self, tile: _Tile, *, add: bool) -> None:
        tiles, lanes = self.g.tiles, self.lanes
        for part, sums in enumerate((tile.real, tile.imaginary)):
            for t in range(sums.rows):
                for i in range(sums.columns):
                    at = (tile.products + ((2 * t + part) * tiles + i) * lanes,)
                    value = sums.get(t, i)
                    if add:
                        value = value + mk.load(self.buffers.scratch, at, lanes)
                    mk.store(self.buffers.scratch, at, value, lanes)

    def _accumulate(self, tile: _Tile) -> None:
        """Loops groups of input channels."""
        lanes, step = self.lanes, 2 * self.g.tiles * self.lanes
        width = 2 * tile.real.rows * lanes

        def group(block: Any, lane: Any, count: int) -> None:
            weights = tile.weights + (block * lanes + lane) * width
            self._channels(tile, weights, tile.inputs + block * step + lane, count)

        size = lanes if self.simd.by_lane else min(UNROLL_IC, lanes)
        with mk.index_loop(self.whole) as block, mk.index_loop(lanes // size) as part:
            group(block, part * size, size)
        if not self.tail:
            return
        if self.has_tail is True:
            for lane in range(0, self.tail, size):
                group(self.whole, lane, min(size, self.tail - lane))
            return
        with builder.If(self.has_tail), builder.Then():
            for lane in range(0, self.tail, size):
                group(self.whole, lane, min(size, self.tail - lane))

    def _channels(self, tile: _Tile, weights: Any, source: Any, count: int) -> None:
        """``count`` input channels: inputs from ``source``, weights from ``weights``."""
        lanes, blocks, scratch = self.lanes, tile.real.rows, self.buffers.scratch
        part = self.g.tiles * lanes
        at, source = builder.Bind(weights), builder.Bind(source)
        columns = range(tile.real.columns)
        vectors: list[tuple[Any, Any]] = []
        if self.simd.by_lane:
            vectors = [
                (
                    mk.load(scratch, (source + i * lanes,), lanes),
                    mk.load(scratch, (source + (part + i * lanes),), lanes),
                )
                for i in columns
            ]
        for u in range(count):
            row = [self._weight(at + (2 * u * blocks + t) * lanes) for t in range(2 * blocks)]
            for i in columns:
                if vectors:
                    real, imaginary = (
                        mk.broadcast(mk.extract_lane(vector, u), lanes) for vector in vectors[i]
                    )
                else:
                    real, imaginary = (
                        builder.Bind(
                            mk.broadcast(
                                mk.load(scratch, (source + (k * part + i * lanes + u),), 1), lanes
                            )
                        )
                        for k in (0, 1)
                    )
                self._products(tile, i, (real, imaginary), row)

    def _weight(self, place: Any) -> Any:
        """A vector of weights; those that lie ``prefetch_bytes`` ahead are asked for too."""
        ahead = self.config.prefetch_bytes // 4
        if ahead:
            mk.prefetch(self.buffers.weights, place + ahead)
        return mk.load(self.buffers.weights, (place,), self.lanes)

    def _products(self, tile: _Tile, i: int, value: tuple[Any, Any], row: list[Any]) -> None:
        """One input of one image tile times the weights ``re, im`` of each block."""
        real, imaginary = value
        for t in range(tile.real.rows):
            tile.real.multiply_add(t, i, real, row[2 * t])
            tile.imaginary.multiply_add(t, i, real, row[2 * t + 1])
        for t in range(tile.real.rows):
            total = multiply_subtract(tile.real.get(t, i), imaginary, row[2 * t + 1], self.simd)
            tile.real.set(t, i, total)
            tile.imaginary.multiply_add(t, i, imaginary, row[2 * t])

    def emit_depthwise(self, buffers: FftBuffers, block: Any) -> None:
        """Multiplies the inputs of one channel block by its weights, in place."""
        g, lanes = self.g, self.lanes
        part = g.tiles * lanes
        with mk.index_loop(g.positions) as position:
            at = self.head + (block * g.positions + position) * (2 * lanes)
            at = builder.Bind(at)
            w_real = mk.load(buffers.weights, (at,), lanes)
            w_imaginary = mk.load(buffers.weights, (at + lanes,), lanes)
            with mk.index_loop(g.tiles) as tile:
                place = builder.Bind(buffers.inputs + (position * 2 * g.tiles + tile) * lanes)
                real = mk.load(buffers.scratch, (place,), lanes)
                imaginary = mk.load(buffers.scratch, (place + part,), lanes)
                y_real = multiply_subtract(real * w_real, imaginary, w_imaginary, self.simd)
                y_imaginary = mk.multiply_add(real * w_imaginary, imaginary, w_real, self.simd)
                mk.store(buffers.scratch, (place,), y_real, lanes)
                mk.store(buffers.scratch, (place + part,), y_imaginary, lanes)
