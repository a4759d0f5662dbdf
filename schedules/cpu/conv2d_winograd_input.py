"""Emits the input transform of the Winograd convolution, in two passes.

The first pass runs along the columns of a tile row's whole image rows, so that neighbouring tiles
share it::

    for channel block, tile row:
      for image column:       strip[point, column] = BT (m + r - 1 rows of the image)
      for point, tile:        v[point, :, tile] = BT (m + r - 1 columns of the strip)

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

__all__ = ["InputTransform"]


class InputTransform:
    """Emits the transform of a block's input.

    Args:
        geometry: the workload.
        constants: coefficients.
        pair: image columns, and tiles, that one turn of a loop takes.
    """

    def __init__(self, geometry: Geometry, constants: Constants, pair: int) -> None:
        self.g = geometry
        self.constants = constants
        self.lanes = geometry.lanes
        self.pair = pair

    def emit(
        self,
        buffers: Buffers,
        block: Block,
        place: Place,
        classes: Sequence[Sequence[PositionClass]],
        channels: tuple[Any, Any],
    ) -> None:
        """``channels`` (first, count) of the channel blocks of a block of tiles."""
        self.buffers, self.block, self.place, self.classes = buffers, block, place, classes
        self.width = self.g.cols.inputs(block.cols)
        self._valid_columns()
        self._fill_padding()
        first, count = channels
        with mk.index_loop(count, first) as channel, mk.index_loop(place.rows) as row:
            self._columns_of_row(channel, row)
            self._tiles_of_row(channel, row)

    def _strip(self, point: Any, column: Any) -> tuple[Any]:
        return (self.buffers.strip + (point * self.width + column) * self.lanes,)

    def _valid_columns(self) -> None:
        """Strip columns whose image column exists: ``left`` to ``left + count``."""
        cols = self.g.cols
        if cols.blocks == 1:
            self.left: Any = min(cols.pad, self.width)
            self.count: Any = max(0, min(cols.in_extent + cols.pad, self.width) - self.left)
            return
        start = self.place.first_col * cols.transform.outputs - cols.pad
        width = mk.index(self.width)
        self.left = builder.Bind(tirx.min(width, tirx.max(mk.index(0), 0 - start)))
        end = tirx.min(width, cols.in_extent - start)
        self.count = builder.Bind(tirx.max(mk.index(0), end - self.left))

    def _fill_padding(self) -> None:
        """Zeros in the strip's columns that lie outside the image; no later pass writes them."""
        zero = mk.constant(0.0, self.lanes)
        right = self.left + self.count
        for first, count in ((0, self.left), (right, self.width - right)):
            if isinstance(count, int) and count == 0:
                continue
            with mk.index_loop(count, first) as column:
                for point in range(self.g.rows.transform.points):
                    mk.store(self.buffers.scratch, self._strip(point, column), zero, self.lanes)

    def _columns_of_row(self, channel: Any, row: Any) -> None:
        """First pass of tile row ``row`` of the block."""
        axis, span = self.g.rows, self.block.rows
        first_tile = span.first * axis.block
        last_tile = first_tile + (span.count - 1) * axis.block + span.last + span.short
        tile = builder.Bind(self.place.first_row + row)
        cases = []
        for start, end, missing in axis.missing_runs():
            if end <= first_tile or start >= last_tile:
                continue
            short = bool(axis.transform.edge_outputs) and start == axis.tiles - 1
            program = axis.transform.edge_input_program if short else axis.transform.input_program
            assert program is not None
            emit = partial(self._image_columns, channel, tile, program, missing)
            cases.append((tile < end, emit))
        mk.choose(cases)

    def _image_columns(
        self, channel: Any, tile: Any, program: LinearProgram, missing: frozenset[int]
    ) -> None:
        """First pass over the image's columns, ``pair`` at a time."""
        if isinstance(self.count, int):
            for first, turns, width in groups_of(self.count, self.pair):
                with mk.index_loop(turns) as turn:
                    column = self.left + first + turn * width
                    self._image_column(channel, tile, column, width, program, missing)
            return
        whole = builder.Bind(self.count // self.pair)
        with mk.index_loop(whole) as turn:
            column = self.left + turn * self.pair
            self._image_column(channel, tile, column, self.pair, program, missing)
        if self.pair > 1:
            with mk.index_loop(self.count - whole * self.pair) as turn:
                column = self.left + whole * self.pair + turn
                self._image_column(channel, tile, column, 1, program, missing)

    def _image_column(
        self,
        channel: Any,
        tile: Any,
        column: Any,
        width: int,
        program: LinearProgram,
        missing: frozenset[int],
    ) -> None:
        w, rows, cols = self.g.workload, self.g.rows, self.g.cols
        numbers = [i for i in range(program.inputs) if i not in missing]
        lines: dict[int, list[Any]] = {}
        if numbers:
            row = tile * rows.transform.outputs + (numbers[0] - rows.pad)
            image_column = self.place.first_col * cols.transform.outputs - cols.pad + column
            pixel = mk.pixel_index(row, w.in_w, image_column)
            for i in numbers:
                offset = (i - numbers[0]) * w.in_w
                lines[i] = [
                    mk.load(
                        self.buffers.x,
                        (self.place.batch, channel, mk.index(0), pixel + offset + q, mk.index(0)),
                        self.lanes,
                    )
                    for q in range(width)
                ]
        found = [
            run_program(
                program,
                [lines[i][q] if i in lines else None for i in range(program.inputs)],
                self.constants,
            )
            for q in range(width)
        ]
        zero = mk.constant(0.0, self.lanes)
        for point in range(program.inputs):
            for q in range(width):
                value = found[q][point] if found[q][point] is not None else zero
                place = self._strip(point, column + q)
                mk.store(self.buffers.scratch, place, value, self.lanes)

    def _tiles_of_row(self, channel: Any, row: Any) -> None:
        """Second pass: points that short rows have, then those that they lack."""
        for number, line in enumerate(self.classes):
            if number == 0 or not self.block.rows.short:
                self._points(channel, row, line)
            else:
                with builder.If(row < self.block.rows.whole), builder.Then():
                    self._points(channel, row, line)

    def _points(self, channel: Any, row: Any, line: Sequence[PositionClass]) -> None:
        transform, span = self.g.cols.transform, self.block.cols
        with mk.index_loop(line[0].rows) as point:
            for first, turns, width in groups_of(span.whole, self.pair):
                with mk.index_loop(turns) as turn:
                    tile = first + turn * width
                    self._tile(channel, row, line, point, tile, width, transform.input_program)
            if span.short:
                program = transform.edge_input_program
                assert program is not None
                self._tile(channel, row, line[:1], point, mk.index(span.whole), 1, program)

    def _tile(
        self,
        channel: Any,
        row: Any,
        line: Sequence[PositionClass],
        point: Any,
        tile: Any,
        width: int,
        program: LinearProgram,
    ) -> None:
        """Second pass of ``width`` tiles from ``tile``, for one point of the first."""
        outputs = self.g.cols.transform.outputs
        first = builder.Bind(self._strip(line[0].first_row + point, tile * outputs)[0])
        inputs = [
            mk.load(self.buffers.scratch, (first + i * self.lanes,), self.lanes)
            for i in range(program.inputs + (width - 1) * outputs)
        ]
        found = [
            run_program(program, inputs[q * outputs : q * outputs + program.inputs], self.constants)
            for q in range(width)
        ]
        for cls in line:
            tiles = channel * cls.tiles + row * cls.tile_cols + tile
            offset = self.buffers.inputs + cls.offset
            place = builder.Bind(offset + point * cls.row_step + tiles * self.lanes)
            for col in range(cls.cols):
                for q in range(width):
                    at = place + (col * cls.col_step + q * self.lanes)
                    value = found[q][cls.first_col + col]
                    mk.store(self.buffers.transformed, (at,), value, self.lanes)
