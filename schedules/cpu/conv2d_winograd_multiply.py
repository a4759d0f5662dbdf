"""Emits the products of the Winograd convolution: a matrix product for each position.

::

    for position, register tile of output channels, pass over input channels, chunk of tiles:
      tile = 0
      for i: tile += v[position, i, tile] * w[position, i]
      m[position, o, tile] = tile, or += tile after the first pass
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_winograd_config import Geometry, PositionClass, Positions
from edgewright.schedules.cpu.conv2d_winograd_cost import tile_chunks
from edgewright.schedules.cpu.conv2d_winograd_program import Buffers
from edgewright.schedules.streams import (
    StepRegisters,
    VectorStream,
    lane_steps,
    load_sizes,
    multiply_steps,
)

__all__ = ["Multiplication"]

#: Input channels in one turn of the innermost loop, where each is read for itself.
UNROLL_IC = 4
#: Blocks of input channels in one turn of the innermost loop, where they are read as vectors.
UNROLL_BLOCKS = 2
#: Multiply-adds in one turn of the innermost loop, where it reads through streams.
STREAMED_PRODUCTS = 192


@dataclass(frozen=True)
class _Position:
    """One position: its class in ``V`` and in ``M``, its place in the class, its number."""

    inputs: PositionClass
    products: PositionClass
    row: Any
    col: Any
    number: Any

    def offset(self, cls: PositionClass) -> Any:
        """First element of the position in a tensor of layout ``cls``."""
        return cls.offset + self.row * cls.row_step + self.col * cls.col_step


@dataclass(frozen=True)
class _Outputs:
    """A register tile's output channels: first weight, first block in the chunk, blocks."""

    weights: Any
    block: Any
    blocks: int


class Multiplication:
    """Emits the products of one chunk of output channels.

    Args:
        geometry: the workload and its tile sizes.
        simd: the instruction set's vectors.
        head: elements of the packed weights before the first product's.
    """

    def __init__(self, geometry: Geometry, simd: mk.Simd, head: int) -> None:
        self.g = geometry
        self.config = geometry.config
        self.simd = simd
        self.head = head
        self.lanes = geometry.lanes
        self.channels = geometry.workload.in_channels
        self.passes = self.channels // geometry.config.chunk_ic

    def emit(
        self, buffers: Buffers, rows: Any, inputs: Positions, products: Positions, chunk: Any
    ) -> Any:
        """All positions of a block of tiles.

        Args:
            buffers: the kernel's buffers.
            rows: tile rows that exist; a plain integer where all of the block's do.
            inputs: layout of ``V``.
            products: layout of ``M``.
            chunk: number of the chunk of output channels.

        Returns:
            The chunk's blocks of output channels.
        """
        g, c = self.g, self.config
        self.buffers, self.rows = buffers, rows
        if self.simd.streams:
            self.weight_stream = VectorStream(buffers.weights)
            self.input_stream = VectorStream(buffers.transformed)
        tiles: Any = min(c.chunk_oc, g.whole_oc_tiles)
        if g.whole_oc_tiles % c.chunk_oc and g.oc_chunks > 1:
            left = g.whole_oc_tiles - chunk * c.chunk_oc
            tiles = builder.Bind(tirx.min(mk.index(c.chunk_oc), left))
        for a, b in zip(inputs.all(), products.all(), strict=True):
            with mk.index_loop(a.rows) as row, mk.index_loop(a.cols) as col:
                number = (a.first_row + row) * g.cols.transform.points + a.first_col + col
                self._position(_Position(a, b, row, col, number), chunk, tiles)
        blocks = tiles * c.tile_oc
        if not g.tail_blocks:
            return blocks
        if g.oc_chunks == 1:
            return blocks + g.tail_blocks
        tail = tirx.Select(chunk == g.oc_chunks - 1, mk.index(g.tail_blocks), mk.index(0))
        return builder.Bind(blocks + tail)

    def _position(self, position: _Position, chunk: Any, tiles: Any) -> None:
        """Whole register tiles of output channels, then the tail, in the order of the weights."""
        g, c = self.g, self.config
        size = self.channels * c.tile_oc * self.lanes
        before = chunk * (c.chunk_oc * g.positions)
        with mk.index_loop(tiles) as tile:
            number = before + position.number * tiles + tile
            weights = builder.Bind(self.head + number * size)
            self._passes(position, _Outputs(weights, tile * c.tile_oc, c.tile_oc))
        if g.tail_blocks:
            before = self.head + g.whole_oc_tiles * g.positions * size
            size = self.channels * g.tail_blocks * self.lanes
            with self._last_chunk(chunk):
                weights = builder.Bind(before + position.number * size)
                self._passes(position, _Outputs(weights, tiles * c.tile_oc, g.tail_blocks))

    @contextmanager
    def _last_chunk(self, chunk: Any) -> Iterator[None]:
        """What is emitted inside runs for the last chunk only."""
        if self.g.oc_chunks == 1:
            yield
            return
        with builder.If(chunk == self.g.oc_chunks - 1), builder.Then():
            yield

    def _passes(self, position: _Position, outputs: _Outputs) -> None:
        """Passes over the input channels, for each the register tiles over all tiles."""
        a = position.inputs
        with mk.index_loop(self.passes) as turn:
            for first, count, width in tile_chunks(a.tiles, self.config.tile_t):
                with mk.index_loop(self._existing(a, first, count, width)) as number:
                    self._register_tile(position, outputs, turn, first + number * width, width)

    def _existing(self, a: PositionClass, first: int, count: int, width: int) -> Any:
        """How many of ``count`` runs of ``width`` tiles from ``first`` have a tile that exists.

        A block with fewer tile rows multiplies no more; its last run may take some stale tiles
        along, whose products nobody reads.
        """
        if isinstance(self.rows, int):
            return count
        runs = tirx.floordiv(self.rows * a.tile_cols - first + (width - 1), width)
        return builder.Bind(tirx.max(mk.index(0), tirx.min(mk.index(count), runs)))

    def _register_tile(
        self, position: _Position, outputs: _Outputs, turn: Any, first: Any, width: int
    ) -> None:
        """``width`` tiles from ``first``: start, multiply-adds, end."""
        lanes, a, b = self.lanes, position.inputs, position.products
        tile = mk.RegisterTile(outputs.blocks, width, self.simd)
        place = position.offset(b) + (outputs.block * b.tiles + first) * lanes
        products = builder.Bind(self.buffers.products + place)
        tile.fill([mk.constant(0.0, lanes)] * outputs.blocks)
        inputs = builder.Bind(self.buffers.inputs + position.offset(a) + first * lanes)
        self._accumulate(tile, outputs, turn, inputs, a.tiles * lanes)
        if self.passes == 1:
            self._finish(tile, b, products, add=False)
            return
        with builder.If(turn == 0):
            with builder.Then():
                self._finish(tile, b, products, add=False)
            with builder.Else():
                self._finish(tile, b, products, add=True)

    def _finish(self, tile: mk.RegisterTile, b: PositionClass, products: Any, *, add: bool) -> None:
        """Stores the tile; passes after the first add to what is there.

        Sums of sums: one long chain of additions would round more often.
        """
        for t in range(tile.rows):
            for i in range(tile.columns):
                at = (products + (t * b.tiles + i) * self.lanes,)
                value = tile.get(t, i)
                if add:
                    value = value + mk.load(self.buffers.scratch, at, self.lanes)
                mk.store(self.buffers.scratch, at, value, self.lanes)

    def _accumulate(
        self, tile: mk.RegisterTile, outputs: _Outputs, turn: Any, inputs: Any, step: int
    ) -> None:
        """Loops groups of input channels; ``step`` elements lie between blocks of them."""
        lanes, chunk = self.lanes, self.config.chunk_ic
        weights = outputs.weights + turn * (chunk * outputs.blocks * lanes)
        whole, tail = chunk // lanes, chunk % lanes
        inputs = inputs + turn * (whole * step)
        if self.simd.streams:
            self._stream(tile, weights, inputs, step)
            return

        def group(block: Any, lane: Any, count: int) -> None:
            at = weights + (block * lanes + lane) * (outputs.blocks * lanes)
            self._channels(tile, at, inputs + block * step + lane, count)

        if self.simd.by_lane:
            unroll = UNROLL_BLOCKS if whole % UNROLL_BLOCKS == 0 else 1
            with mk.index_loop(whole // unroll) as number:
                for block in range(unroll):
                    group(number * unroll + block, 0, lanes)
            size = lanes
        else:
            size = min(UNROLL_IC, lanes)
            with mk.index_loop(whole) as block, mk.index_loop(lanes // size) as part:
                group(block, part * size, size)
        for lane in range(0, tail, size):
            group(whole, lane, min(size, tail - lane))

    def _stream(self, tile: mk.RegisterTile, weights: Any, inputs: Any, step: int) -> None:
        """All input channels of a pass through streams, block by block."""
        lanes = self.lanes
        blocks, channels = divmod(self.config.chunk_ic, lanes)
        unroll = max(1, min(blocks, STREAMED_PRODUCTS // (tile.rows * tile.columns * lanes)))
        last_step = step - (tile.columns - load_sizes(tile.columns)[-1]) * lanes
        steps = StepRegisters({last_step})
        self.weight_stream.start((weights,))
        self.input_stream.start((inputs,))

        def block(count: int) -> None:
            sources = self.input_stream.read(tile.columns)
            products = lane_steps(list(enumerate(sources)), count)
            weights, step = self.weight_stream, steps.get(last_step)
            multiply_steps(tile, products, weights, self.input_stream, step)

        with mk.index_loop(blocks // unroll):
            for _ in range(unroll):
                block(lanes)
        for _ in range(blocks % unroll):
            block(lanes)
        if channels:
            block(channels)

    def _channels(self, tile: mk.RegisterTile, weights: Any, source: Any, count: int) -> None:
        """``count`` input channels: inputs from ``source``, weights from ``weights``."""
        lanes, blocks, inputs = self.lanes, tile.rows, self.buffers.transformed
        at, source = builder.Bind(weights), builder.Bind(source)
        vectors: Sequence[Any] = ()
        if self.simd.by_lane:
            vectors = [mk.load(inputs, (source + i * lanes,), lanes) for i in range(tile.columns)]
        for u in range(count):
            row = [self._weight(at + (u * blocks + t) * lanes) for t in range(blocks)]
            for i in range(tile.columns):
                if self.simd.by_lane:
                    spread = mk.broadcast(mk.extract_lane(vectors[i], u), lanes)
                else:
                    scalar = mk.load(inputs, (source + (i * lanes + u),), 1)
                    spread = builder.Bind(mk.broadcast(scalar, lanes))
                for t, weight in enumerate(row):
                    tile.multiply_add(t, i, spread, weight)

    def _weight(self, place: Any) -> Any:
        """A vector of weights; those that lie ``prefetch_bytes`` ahead are asked for too."""
        ahead = self.config.prefetch_bytes // 4
        if ahead:
            mk.prefetch(self.buffers.weights, place + ahead)
        return mk.load(self.buffers.weights, (place,), self.lanes)
