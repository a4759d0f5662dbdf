"""Emits the output transform of the Winograd convolution and its epilogue, in two passes.

::

    for channel block, tile row:
      for point, tile:        strip[row, point, tile] = AT (products of a column)
      for row, tile:          y[row, m columns] = activation(AT (strip) + bias + residual)

The strip stays in level 1. A transform of one dimension happens in registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_winograd_config import Block, Geometry, PositionClass
from edgewright.schedules.cpu.conv2d_winograd_program import (
    Buffers,
    Constants,
    Place,
    groups_of,
    run_program,
)
from edgewright.schedules.cpu.winograd_matrices import LinearProgram

__all__ = ["OutputTransform"]


class OutputTransform:
    """Emits the transform of a block's products back to outputs, with the epilogue.

    Args:
        geometry: the workload.
        constants: coefficients.
        simd: the instruction set's vectors.
        pair: tiles that one turn of a loop takes.
    """

    def __init__(self, geometry: Geometry, constants: Constants, simd: mk.Simd, pair: int) -> None:
        self.g = geometry
        self.constants = constants
        self.simd = simd
        self.lanes = geometry.lanes
        self.pair = pair

    def emit(
        self,
        buffers: Buffers,
        block: Block,
        place: Place,
        classes: Sequence[Sequence[PositionClass]],
        first_block: Any,
        blocks: Any,
    ) -> None:
        """``blocks`` blocks of output channels from ``first_block``."""
        self.buffers, self.block, self.place, self.classes = buffers, block, place, classes
        with mk.index_loop(blocks) as number:
            channel = builder.Bind(first_block + number)
            bias = None
            if buffers.bias is not None:
                bias = mk.load(buffers.bias, (channel * self.lanes,), self.lanes)
            with mk.index_loop(place.rows) as row:
                self._columns_of_row(number, row)
                self._tiles_of_row(channel, row, bias)

    def _strip(self, row: Any, point: Any, tile: Any) -> Any:
        points, tiles = self.g.cols.transform.points, self.block.cols.tiles
        return self.buffers.strip + ((row * points + point) * tiles + tile) * self.lanes

    def _columns_of_row(self, number: Any, row: Any) -> None:
        """First pass: a short tile row lacks the second class of positions."""
        transform, span = self.g.rows.transform, self.block.rows
        cases = []
        if span.whole:
            whole = partial(self._columns, number, row, transform.output_program, self.classes)
            cases.append((row < span.whole, whole))
        if span.short:
            program = transform.edge_output_program
            assert program is not None
            cases.append((None, partial(self._columns, number, row, program, self.classes[:1])))
        mk.choose(cases)

    def _columns(
        self,
        number: Any,
        row: Any,
        program: LinearProgram,
        classes: Sequence[Sequence[PositionClass]],
    ) -> None:
        for column_class in range(len(classes[0])):
            cls = classes[0][column_class]
            stack = [line[column_class] for line in classes]
            with mk.index_loop(cls.cols) as point:
                for first, turns, width in groups_of(cls.tile_cols, self.pair):
                    with mk.index_loop(turns) as turn:
                        tile = first + turn * width
                        self._column(number, row, program, stack, point, tile, width)

    def _column(
        self,
        number: Any,
        row: Any,
        program: LinearProgram,
        stack: Sequence[PositionClass],
        point: Any,
        tile: Any,
        width: int,
    ) -> None:
        """First pass of ``width`` tiles from ``tile``, for one column of positions."""
        inputs: list[list[Any]] = [[] for _ in range(width)]
        for cls in stack:
            tiles = number * cls.tiles + row * cls.tile_cols + tile
            offset = self.buffers.products + cls.offset
            place = builder.Bind(offset + point * cls.col_step + tiles * self.lanes)
            for i in range(cls.rows):
                for q in range(width):
                    at = place + (i * cls.row_step + q * self.lanes)
                    inputs[q].append(mk.load(self.buffers.scratch, (at,), self.lanes))
        found = [run_program(program, inputs[q], self.constants) for q in range(width)]
        place = builder.Bind(self._strip(mk.index(0), stack[0].first_col + point, tile))
        step = self.g.cols.transform.points * self.block.cols.tiles * self.lanes
        for k in range(len(program.outputs)):
            for q in range(width):
                at = place + (k * step + q * self.lanes)
                mk.store(self.buffers.scratch, (at,), found[q][k], self.lanes)

    def _tiles_of_row(self, channel: Any, row: Any, bias: Any) -> None:
        """Second pass over the rows that exist."""
        w, transform = self.g.workload, self.g.rows.transform
        first = builder.Bind((self.place.first_row + row) * transform.outputs)
        count: Any = transform.outputs
        if w.out_h % transform.outputs:
            count = tirx.min(mk.index(transform.outputs), w.out_h - first)
        with mk.index_loop(count) as line:
            for start, tiles, program, outputs in self._tile_runs():
                for begin, turns, width in groups_of(tiles, self.pair):
                    with mk.index_loop(turns) as turn:
                        tile = start + begin + turn * width
                        found = self._line(line, tile, width, program, bias)
                        self._store(channel, first + line, tile, found, outputs)

    def _tile_runs(self) -> list[tuple[int, int, LinearProgram, int]]:
        """Tiles of a row as (first, count, program, outputs that exist)."""
        axis, span = self.g.cols, self.block.cols
        transform = axis.transform
        runs = []
        cut = span.first + span.count == axis.blocks and axis.last_outputs < transform.outputs
        whole = span.whole - (cut and not span.short)
        if whole:
            runs.append((0, whole, transform.output_program, transform.outputs))
        if span.short:
            program = transform.edge_output_program
            assert program is not None
            runs.append((span.whole, 1, program, transform.edge_outputs))
        elif cut:
            runs.append((whole, 1, transform.output_program, axis.last_outputs))
        return runs

    def _line(
        self, line: Any, tile: Any, width: int, program: LinearProgram, bias: Any
    ) -> list[list[Any]]:
        """One row of outputs of ``width`` tiles."""
        place = builder.Bind(self._strip(line, mk.index(0), tile))
        step = self.block.cols.tiles * self.lanes
        inputs = [
            [
                mk.load(self.buffers.scratch, (place + (i * step + q * self.lanes),), self.lanes)
                for q in range(width)
            ]
            for i in range(program.inputs)
        ]
        return [
            run_program(program, [values[q] for values in inputs], self.constants, bias)
            for q in range(width)
        ]

    def _store(
        self, channel: Any, row: Any, tile: Any, found: Sequence[Sequence[Any]], outputs: int
    ) -> None:
        """Epilogue and store; outputs beyond the image are left out."""
        w, per_tile = self.g.workload, self.g.cols.transform.outputs
        first = (self.place.first_col + tile) * per_tile
        pixel = mk.pixel_index(row, w.out_w, first)
        for q, values in enumerate(found):
            for k in range(outputs):
                at = (
                    self.place.batch,
                    channel,
                    mk.index(0),
                    pixel + (q * per_tile + k),
                    mk.index(0),
                )
                value = values[k]
                if self.buffers.residual is not None:
                    value = value + mk.load(self.buffers.residual, at, self.lanes)
                value = mk.activate(value, w.epilogue.activation, self.simd)
                mk.store(self.buffers.y, at, value, self.lanes)
