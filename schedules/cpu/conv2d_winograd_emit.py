"""Emits the Winograd convolution's schedule, which :mod:`.conv2d_winograd` describes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_winograd_axis import Axis, Span
from edgewright.schedules.cpu.conv2d_winograd_config import Block, Geometry, Positions
from edgewright.schedules.cpu.conv2d_winograd_input import InputTransform
from edgewright.schedules.cpu.conv2d_winograd_multiply import Multiplication
from edgewright.schedules.cpu.conv2d_winograd_output import OutputTransform
from edgewright.schedules.cpu.conv2d_winograd_program import Buffers, Constants, Place
from edgewright.schedules.streams import imported_loads

__all__ = ["emit_kernel", "transform_constants"]


def transform_constants(geometry: Geometry, simd: mk.Simd) -> Constants:
    """The coefficients of a kernel's transforms."""
    programs = []
    for axis in (geometry.rows.transform, geometry.cols.transform):
        programs += [axis.input_program, axis.output_program]
        programs += [p for p in (axis.edge_input_program, axis.edge_output_program) if p]
    return Constants(programs, simd)


def emit_kernel(name: str, geometry: Geometry, simd: mk.Simd, pair: int) -> Any:
    """The ``tirx.PrimFunc`` called ``name``.

    Args:
        name: the function's name.
        geometry: the workload and its tile sizes.
        simd: the instruction set's vectors.
        pair: columns and tiles that a turn of a transform's loop takes.
    """
    return mk.kernel_function(name, _Emitter(geometry, simd, pair).emit)


class _Emitter:
    """Emits the schedule of one kernel."""

    def __init__(self, geometry: Geometry, simd: mk.Simd, pair: int) -> None:
        self.g = geometry
        self.w = geometry.workload
        self.config = geometry.config
        self.lanes = geometry.lanes
        self.constants = transform_constants(geometry, simd)
        self.multiplication = Multiplication(geometry, simd, self.constants.elements)
        self.input_transform = InputTransform(geometry, self.constants, pair)
        self.output_transform = OutputTransform(geometry, self.constants, simd, pair)

    def emit(self) -> None:
        """The whole function: x, w, b where biased, r where residual, scratch, y."""
        g = self.g
        self.buffers = self._declare()
        if not self.config.shared:
            self._tasks(g.oc_groups, self._whole)
            return
        self._tasks(math.ceil(g.in_blocks / self.config.group_ic), self._transform)
        self._tasks(g.oc_groups, self._multiply)

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
        transformed, inputs = scratch, g.product_elements + g.strip_elements
        if self.config.shared:
            transformed, inputs = builder.alloc_buffer((g.shared_elements,), "float32"), 0
        # Products come first: AArch64 pairs stores only at small constant offsets.
        return Buffers(
            x, weights, bias, residual, scratch, y, transformed, 0, g.product_elements, inputs
        )

    def _tasks(self, parts: int, emit: Callable[[Block, Place, Any], None]) -> None:
        """A parallel loop over all blocks of tiles, each cut into ``parts`` tasks."""
        g = self.g
        cols, rows = g.cols.blocks, g.rows.blocks
        with builder.parallel(0, self.w.batch * rows * cols * parts) as task:
            self.constants.load(self.buffers.weights)
            number = builder.Bind(task // parts)
            row = builder.Bind(number // cols % rows)
            col = builder.Bind(number % cols)
            first_row, first_col = row * g.rows.block, col * g.cols.block
            place = Place(number, builder.Bind(number // (cols * rows)), first_row, first_col, 0)

            def block(row_span: Span, col_span: Span) -> None:
                emit(Block(row_span, col_span), self._at(place, row_span), task % parts)

            with imported_loads(self.multiplication.simd):
                self._spans(
                    g.rows,
                    row,
                    lambda span: self._spans(g.cols, col, lambda other: block(span, other)),
                )

    def _spans(self, axis: Axis, number: Any, emit: Callable[[Span], None]) -> None:
        """Code for each kind of block along an axis."""
        spans = axis.spans
        if len(spans) == 1:
            emit(spans[0])
            return
        with builder.If(number < spans[1].first):
            with builder.Then():
                emit(spans[0])
            with builder.Else():
                emit(spans[1])

    def _at(self, place: Place, span: Span) -> Place:
        """The place with its variables bound, and the tile rows that exist there."""
        first_row = builder.Bind(place.first_row)
        rows: Any = span.tiles
        if span.ragged:
            rows = builder.Bind(tirx.min(mk.index(rows), self.g.rows.tiles - first_row))
        first_col = builder.Bind(place.first_col)
        return replace(place, first_row=first_row, first_col=first_col, rows=rows)

    def _whole(self, block: Block, place: Place, group: Any) -> None:
        """One task: transforms its input, then chunk by chunk multiplies and transforms back."""
        self._transform_channels(block, place, (0, self.g.in_blocks))
        self._multiply(block, place, group)

    def _transform(self, block: Block, place: Place, part: Any) -> None:
        """One task of the first loop: some channels of a block's input, for all to read."""
        size = self.config.group_ic
        count: Any = size
        if self.g.in_blocks % size:
            count = tirx.min(mk.index(size), self.g.in_blocks - part * size)
        self._transform_channels(block, place, (part * size, count))

    def _transform_channels(self, block: Block, place: Place, channels: tuple[Any, Any]) -> None:
        classes = Positions(self.g, block, self.g.in_blocks).classes
        self.input_transform.emit(self._block_buffers(place), block, place, classes, channels)

    def _block_buffers(self, place: Place) -> Buffers:
        """The buffers, with the place of the block's ``V`` among all blocks' if they share."""
        if not self.config.shared or self.g.tile_blocks == 1:
            return self.buffers
        inputs = builder.Bind(place.number * self.g.input_elements)
        return replace(self.buffers, inputs=inputs)

    def _multiply(self, block: Block, place: Place, group: Any) -> None:
        """A group of chunks of output channels: products, then the transform back."""
        g, c = self.g, self.config
        buffers = self._block_buffers(place)
        inputs = Positions(g, block, g.in_blocks)
        products = Positions(g, block, g.chunk_blocks)
        chunks: Any = c.group_oc
        if g.oc_chunks % c.group_oc:
            chunks = tirx.min(mk.index(c.group_oc), g.oc_chunks - group * c.group_oc)
        with mk.index_loop(chunks, group * c.group_oc) as chunk:
            blocks = self.multiplication.emit(buffers, place.rows, inputs, products, chunk)
            first = builder.Bind(chunk * (c.chunk_oc * c.tile_oc))
            self.output_transform.emit(buffers, block, place, products.classes, first, blocks)
