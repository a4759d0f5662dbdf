"""Emits the Winograd convolution's schedule, which :mod:`.conv2d_winograd` describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_winograd_config import (
    Axis,
    Block,
    Geometry,
    PositionClass,
    Positions,
    Span,
)
from edgewright.schedules.cpu.conv2d_winograd_cost import tile_chunks
from edgewright.schedules.cpu.conv2d_winograd_transform import (
    Buffers,
    Constants,
    InputTransform,
    OutputTransform,
    Place,
)

__all__ = ["WinogradEmitter", "transform_constants"]

#: Input channels in one turn of the innermost loop, where each is read for itself.
UNROLL_IC = 4


def transform_constants(geometry: Geometry, simd: mk.Simd) -> Constants:
    """The coefficients of a kernel's transforms."""
    programs = []
    for axis in (geometry.rows.transform, geometry.cols.transform):
        programs += [axis.input_program, axis.output_program]
        programs += [p for p in (axis.edge_input_program, axis.edge_output_program) if p]
    return Constants(programs, simd)


@dataclass(frozen=True)
class _Products:
    """A register tile's place: class of positions, one of them, output channels."""

    inputs: PositionClass
    products: PositionClass
    point_row: Any
    point_col: Any
    weights: Any
    block: Any
    blocks: int


class WinogradEmitter:
    """Emits the schedule of one kernel.

    Args:
        geometry: the workload and its tile sizes.
        simd: the instruction set's vectors.
        pair: columns and tiles that a turn of a transform's loop takes.
    """

    def __init__(self, geometry: Geometry, simd: mk.Simd, pair: int) -> None:
        self.g = geometry
        self.w = geometry.workload
        self.config = geometry.config
        self.simd = simd
        self.lanes = geometry.lanes
        self.constants = transform_constants(geometry, simd)
        self.input_transform = InputTransform(geometry, self.constants, pair)
        self.output_transform = OutputTransform(geometry, self.constants, simd, pair)
        self.passes = self.w.in_channels // self.config.chunk_ic

    def emit(self) -> None:
        """The whole function: x, w, b where biased, r where residual, scratch, y."""
        g, w = self.g, self.w
        self.buffers = self._declare()
        groups, cols, rows = g.oc_groups, g.cols.blocks, g.rows.blocks
        with builder.parallel(0, g.tasks) as task:
            self.constants.load(self.buffers.weights)
            group = task % groups
            col = task // groups % cols
            row = task // (groups * cols) % rows
            batch = task // (groups * cols * rows)
            self._spans(
                g.rows,
                row,
                lambda row_span: self._spans(
                    g.cols,
                    col,
                    lambda col_span: self._block(
                        Block(row_span, col_span),
                        Place(batch, row * g.rows.block, col * g.cols.block, row_span.tiles),
                        group,
                    ),
                ),
            )

    def _declare(self) -> Buffers:
        g, w, lanes = self.g, self.w, self.lanes
        x = mk.declare("x", (w.batch, g.in_blocks, w.in_h, w.in_w, lanes))
        products = g.positions * w.in_channels * g.out_blocks * lanes
        ahead = self.config.prefetch_bytes // 4
        weights = mk.declare("w", (self.constants.elements + products + ahead,))
        bias = mk.declare("b", (g.out_blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, g.out_blocks, w.out_h, w.out_w, lanes)
        residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        scratch = mk.declare("scratch", (g.scratch_elements,))
        y = mk.declare("y", out_shape)
        # Products come first: AArch64 pairs stores only at small constant offsets.
        strip = g.product_elements
        return Buffers(x, weights, bias, residual, scratch, y, 0, strip, strip + g.strip_elements)

    def _spans(self, axis: Axis, number: Any, emit: Callable[[Span], None]) -> None:
        spans = axis.spans
        if len(spans) == 1:
            emit(spans[0])
            return
        with builder.If(number < spans[1].first):
            with builder.Then():
                emit(spans[0])
            with builder.Else():
                emit(spans[1])

    def _block(self, block: Block, place: Place, group: Any) -> None:
        """One task: transforms its input, then chunk by chunk multiplies and transforms back."""
        g, c = self.g, self.config
        first_row = builder.Bind(place.first_row)
        rows = place.rows
        if block.rows.ragged:
            rows = builder.Bind(tirx.min(mk.index(rows), g.rows.tiles - first_row))
        self.place = place = Place(
            builder.Bind(place.batch), first_row, builder.Bind(place.first_col), rows
        )
        inputs = Positions(g, block, g.in_blocks)
        products = Positions(g, block, g.chunk_blocks)
        self.input_transform.emit(self.buffers, block, place, inputs.classes)
        chunks: Any = c.group_oc
        if g.oc_chunks % c.group_oc:
            chunks = tirx.min(mk.index(c.group_oc), g.oc_chunks - group * c.group_oc)
        with mk.index_loop(chunks, group * c.group_oc) as chunk:
            blocks = self._multiply(inputs, products, chunk)
            first = builder.Bind(chunk * (c.chunk_oc * c.tile_oc))
            self.output_transform.emit(self.buffers, block, place, products.classes, first, blocks)

    def _multiply(self, inputs: Positions, products: Positions, chunk: Any) -> Any:
        """The products of one chunk of output channels; returns its number of blocks."""
        g, c = self.g, self.config
        tiles: Any = min(c.chunk_oc, g.whole_oc_tiles)
        if g.whole_oc_tiles % c.chunk_oc and g.oc_chunks > 1:
            tiles = builder.Bind(
                tirx.min(mk.index(c.chunk_oc), g.whole_oc_tiles - chunk * c.chunk_oc)
            )
        for a, b in zip(inputs.all(), products.all(), strict=True):
            with mk.index_loop(a.rows) as row, mk.index_loop(a.cols) as col:
                position = (a.first_row + row) * g.cols.transform.points + a.first_col + col
                self._whole_tiles(a, b, row, col, position, chunk, tiles)
                if g.tail_blocks:
                    with self._last_chunk(chunk):
                        self._tail_tile(a, b, row, col, position, tiles)
        blocks = tiles * c.tile_oc
        if not g.tail_blocks:
            return blocks
        if g.oc_chunks == 1:
            return blocks + g.tail_blocks
        tail = tirx.Select(chunk == g.oc_chunks - 1, mk.index(g.tail_blocks), mk.index(0))
        return builder.Bind(blocks + tail)

    def _last_chunk(self, chunk: Any) -> Any:
        """A context that is entered for the last chunk only."""
        from contextlib import ExitStack

        stack = ExitStack()
        if self.g.oc_chunks > 1:
            stack.enter_context(builder.If(chunk == self.g.oc_chunks - 1))
            stack.enter_context(builder.Then())
        return stack

    def _whole_tiles(
        self,
        a: PositionClass,
        b: PositionClass,
        row: Any,
        col: Any,
        position: Any,
        chunk: Any,
        tiles: Any,
    ) -> None:
        g, c = self.g, self.config
        size = self.w.in_channels * c.tile_oc * self.lanes
        before = chunk * (c.chunk_oc * g.positions)
        with mk.index_loop(tiles) as tile:
            first = before + position * tiles + tile
            weights = builder.Bind(self.constants.elements + first * size)
            place = _Products(a, b, row, col, weights, tile * c.tile_oc, c.tile_oc)
            self._passes(place)

    def _tail_tile(
        self, a: PositionClass, b: PositionClass, row: Any, col: Any, position: Any, tiles: Any
    ) -> None:
        g, c = self.g, self.config
        before = g.whole_oc_tiles * g.positions * self.w.in_channels * c.tile_oc * self.lanes
        size = self.w.in_channels * g.tail_blocks * self.lanes
        weights = builder.Bind(self.constants.elements + before + position * size)
        self._passes(_Products(a, b, row, col, weights, tiles * c.tile_oc, g.tail_blocks))

    def _passes(self, place: _Products) -> None:
        """Passes over the input channels, for each the register tiles over all tiles."""
        with mk.index_loop(self.passes) as turn:
            for first, count, width in tile_chunks(place.inputs.tiles, self.config.tile_t):
                with mk.index_loop(self._existing(place.inputs, first, count, width)) as number:
                    self._register_tile(place, turn, first + number * width, width)

    def _existing(self, a: PositionClass, first: int, count: int, width: int) -> Any:
        """How many of ``count`` runs of ``width`` tiles from ``first`` have a tile that exists.

        A block with fewer tile rows multiplies no more; its last run may take some stale tiles
        along, whose products nobody reads.
        """
        if isinstance(self.place.rows, int):
            return count
        tiles = self.place.rows * a.tile_cols
        runs = tirx.floordiv(tiles - first + (width - 1), width)
        return builder.Bind(tirx.max(mk.index(0), tirx.min(mk.index(count), runs)))

    def _register_tile(self, place: _Products, turn: Any, first: Any, width: int) -> None:
        """``width`` tiles from ``first``: start, multiply-adds, end."""
        lanes, a, b = self.lanes, place.inputs, place.products
        tile = mk.RegisterTile(place.blocks, width, self.simd)
        products = builder.Bind(
            self.buffers.products
            + b.offset
            + place.point_row * b.row_step
            + place.point_col * b.col_step
            + (place.block * b.tiles + first) * lanes
        )
        tile.fill([mk.constant(0.0, lanes)] * place.blocks)
        inputs = builder.Bind(
            self.buffers.inputs
            + a.offset
            + place.point_row * a.row_step
            + place.point_col * a.col_step
            + first * lanes
        )
        self._accumulate(tile, place, turn, inputs)
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

    def _accumulate(self, tile: mk.RegisterTile, place: _Products, turn: Any, inputs: Any) -> None:
        """Loops groups of input channels; by lane, a group is one or two blocks."""
        lanes, channels = self.lanes, self.config.chunk_ic
        step = place.inputs.tiles * lanes
        weights = place.weights + turn * (channels * place.blocks * lanes)
        whole, tail = channels // lanes, channels % lanes
        first = turn * whole if self.passes > 1 else mk.index(0)
        if self.simd.by_lane:
            unroll = 2 if whole % 2 == 0 else 1
            with mk.index_loop(whole // unroll) as group:
                for number in range(unroll):
                    block = group * unroll + number
                    self._channels(
                        tile, place, inputs + (first + block) * step, weights, block * lanes, lanes
                    )
        else:
            size = min(UNROLL_IC, lanes)
            with mk.index_loop(whole) as block, mk.index_loop(lanes // size) as part:
                source = inputs + (first + block) * step + part * size
                channel = block * lanes + part * size
                self._channels(tile, place, source, weights, channel, size)
        size = lanes if self.simd.by_lane else UNROLL_IC
        for start in range(0, tail, size):
            source = inputs + whole * step + start
            count = min(size, tail - start)
            self._channels(tile, place, source, weights, mk.index(whole * lanes + start), count)

    def _channels(
        self,
        tile: mk.RegisterTile,
        place: _Products,
        source: Any,
        weights: Any,
        channel: Any,
        count: int,
    ) -> None:
        """``count`` input channels from ``channel`` of the pass."""
        lanes, blocks = self.lanes, place.blocks
        at = builder.Bind(weights + channel * (blocks * lanes))
        source = builder.Bind(source)
        scratch = self.buffers.scratch
        vectors: Sequence[Any] = ()
        if self.simd.by_lane:
            vectors = [mk.load(scratch, (source + i * lanes,), lanes) for i in range(tile.columns)]
        for u in range(count):
            row = []
            for t in range(blocks):
                vector = at + (u * blocks + t) * lanes
                self._prefetch(vector)
                row.append(mk.load(self.buffers.weights, (vector,), lanes))
            for i in range(tile.columns):
                if self.simd.by_lane:
                    spread = mk.broadcast(mk.extract_lane(vectors[i], u), lanes)
                else:
                    scalar = mk.load(scratch, (source + (i * lanes + u),), 1)
                    spread = builder.Bind(mk.broadcast(scalar, lanes))
                for t, weight in enumerate(row):
                    tile.multiply_add(t, i, spread, weight)

    def _prefetch(self, place: Any) -> None:
        """Asks for the weights that lie ``prefetch_bytes`` ahead."""
        ahead = self.config.prefetch_bytes // 4
        if not ahead:
            return
        address = tirx.address_of(self.buffers.weights[place + ahead])
        builder.evaluate(tirx.call_llvm_intrin("void", "llvm.prefetch", address, 0, 3, 1))
