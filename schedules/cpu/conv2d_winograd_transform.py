"""Emits the input and output transforms of the Winograd convolution, in two passes each.

A transform of a tile is one along its columns, then one along its rows. The first pass of the input
runs over all of a tile row's image columns, so that neighbouring tiles share it::

    for channel block, tile row:
      for image column:            strip[point, column]   = BT (m + r - 1 rows of the image)
      for point, tile:             v[point, :, tile]      = BT (m + r - 1 columns of the strip)

    for channel block, tile row:
      for point, tile:             strip[row, point, tile] = AT (products of a column)
      for row, tile:               y[row, m columns]       = activation(AT (strip) + bias + residual)

The strip stays in level 1. A transform of one dimension happens in registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_winograd_config import Block, Geometry, PositionClass
from edgewright.schedules.cpu.winograd_matrices import LinearProgram, Terms

__all__ = ["Buffers", "Constants", "InputTransform", "OutputTransform", "Place"]


@dataclass(frozen=True)
class Buffers:
    """The kernel's parameters, and where the parts of the scratch memory begin.

    Attributes:
        products, strip, inputs: first elements of ``M``, the strip and ``V`` in ``scratch``.
    """

    x: Any
    weights: Any
    bias: Any
    residual: Any
    scratch: Any
    y: Any
    products: int
    strip: int
    inputs: int


@dataclass(frozen=True)
class Place:
    """Where a task's tiles are: image, numbers of its first tiles, tile rows that exist."""

    batch: Any
    first_row: Any
    first_col: Any
    rows: Any


class Constants:
    """Coefficients of the transforms as vectors.

    Instruction sets that multiply by one lane of a vector read them, four to a register, from the
    head of the packed weights: a transform of eight points has more coefficients than registers.

    Args:
        programs: the programs whose coefficients are needed.
        simd: the instruction set's vectors.
    """

    def __init__(self, programs: Sequence[LinearProgram], simd: mk.Simd) -> None:
        self.simd = simd
        values = {float(c) for program in programs for c in program.constants()}
        self.table = sorted(values) if simd.by_lane and simd.lanes > 1 else []
        self._vectors: list[Any] = []

    @property
    def elements(self) -> int:
        """Elements at the head of the packed weights, a multiple of 16."""
        return math.ceil(len(self.table) / 16) * 16

    def load(self, weights: Any) -> None:
        """Reads the table; coefficients of the enclosing loops come from it from here on."""
        lanes = self.simd.lanes
        count = math.ceil(len(self.table) / lanes)
        self._vectors = [mk.load(weights, (mk.index(i * lanes),), lanes) for i in range(count)]

    def __call__(self, value: float) -> Any:
        """A vector of copies of a positive coefficient."""
        lanes = self.simd.lanes
        if value in self.table:
            place = self.table.index(value)
            lane = mk.extract_lane(self._vectors[place // lanes], place % lanes)
            return mk.broadcast(lane, lanes)
        return mk.constant(value, lanes)

    def add_product(self, total: Any, value: Any, coefficient: Fraction) -> Any:
        """``total + value * coefficient``."""
        if coefficient == 1:
            return total + value
        if coefficient == -1:
            return total - value
        if self.simd.call_fma:
            factor = mk.constant(float(coefficient), self.simd.lanes)
            return mk.multiply_add(total, value, factor, self.simd)
        product = value * self(abs(float(coefficient)))
        return total + product if coefficient > 0 else total - product


def run_program(
    program: LinearProgram, inputs: Sequence[Any], constants: Constants, addend: Any = None
) -> list[Any]:
    """Emits a program on vectors.

    Args:
        program: the sums.
        inputs: vectors; None for zero.
        constants: the coefficients.
        addend: a vector that is added to every output.

    Returns:
        The outputs as variables; None for zero.
    """
    values = list(inputs)
    for number, terms in enumerate(program.steps, start=program.inputs):
        start = addend if number in program.outputs else None
        values.append(_sum(values, terms, constants, start))
    return [values[number] for number in program.outputs]


def _sum(values: Sequence[Any], terms: Terms, constants: Constants, start: Any) -> Any:
    total = start
    for number, coefficient in terms:
        value = values[number]
        if value is None:
            continue
        if total is not None:
            total = constants.add_product(total, value, coefficient)
        elif coefficient == 1:
            total = value
        else:
            factor = constants(abs(float(coefficient)))
            product = value * factor
            total = product if coefficient > 0 else mk.constant(0.0, constants.simd.lanes) - product
    return None if total is None else builder.Bind(total)


@contextmanager
def _either(condition: Any) -> Iterator[tuple[Any, Any]]:
    """The two branches of an ``If`` as context managers."""
    with builder.If(condition):
        yield builder.Then(), builder.Else()


def _choose(cases: Sequence[tuple[Any, Callable[[], None]]]) -> None:
    """Emits ``if … elif … else``; the last case's condition is not looked at."""
    condition, emit = cases[0]
    if len(cases) == 1:
        emit()
        return
    with _either(condition) as (then, otherwise):
        with then:
            emit()
        with otherwise:
            _choose(cases[1:])


@contextmanager
def _groups(extent: int, width: int) -> Iterator[list[tuple[int, int, int]]]:
    """Cuts an axis into (first, groups, width): groups of ``width``, then what is left."""
    whole = extent // width
    parts = [(0, whole, width)] if whole else []
    if extent % width:
        parts.append((whole * width, 1, extent % width))
    yield parts


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
    ) -> None:
        """All channel blocks of a block of tiles."""
        self.buffers, self.block, self.place, self.classes = buffers, block, place, classes
        self.width = self.g.cols.inputs(block.cols)
        self._valid_columns()
        self._fill_padding()
        with mk.index_loop(self.g.in_blocks) as channel:
            with mk.index_loop(place.rows) as row:
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
            emit = _bound(self._image_columns, channel, tile, program, missing)
            cases.append((tile < end, emit))
        _choose(cases)

    def _image_columns(
        self, channel: Any, tile: Any, program: LinearProgram, missing: frozenset[int]
    ) -> None:
        """First pass over the image's columns, ``pair`` at a time."""
        if isinstance(self.count, int):
            with _groups(self.count, self.pair) as parts:
                for first, turns, width in parts:
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
            with _groups(span.whole, self.pair) as parts:
                for first, turns, width in parts:
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
                    mk.store(self.buffers.scratch, (at,), value, self.lanes)


def _bound(function: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: function(*arguments)


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
            whole = _bound(self._columns, number, row, transform.output_program, self.classes)
            cases.append((row < span.whole, whole))
        if span.short:
            program = transform.edge_output_program
            cases.append((None, _bound(self._columns, number, row, program, self.classes[:1])))
        _choose(cases)

    def _columns(
        self,
        number: Any,
        row: Any,
        program: LinearProgram,
        classes: Sequence[Sequence[PositionClass]],
    ) -> None:
        for column_class in range(len(classes[0])):
            cls = classes[0][column_class]
            with mk.index_loop(cls.cols) as point, _groups(cls.tile_cols, self.pair) as parts:
                for first, turns, width in parts:
                    with mk.index_loop(turns) as turn:
                        tile = first + turn * width
                        stack = [line[column_class] for line in classes]
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
                with _groups(tiles, self.pair) as parts:
                    for begin, turns, width in parts:
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
