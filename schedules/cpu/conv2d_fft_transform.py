"""Emits the transforms of the FFT convolution: vertical, then horizontal, and back.

::

    forward, for a channel block and a row of tiles:
      for image column:              strip[plane, column] = real transform of the column
      for tile, real frequency:      v[position] = real transform of the strip's row
      for tile, complex frequency:   v[position] = complex transform of two rows of the strip
    back, for a channel block and a tile:
      for frequency:                 strip[plane, column] = inverse transform of m's row
      for output column:             y = activation(inverse real transform + bias + residual)

Vectors hold channels, so that a transform is straight-line arithmetic on vectors. Neighbouring
tiles share the image columns in which they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_fft_config import FftGeometry
from edgewright.schedules.cpu.conv2d_fft_program import run_transform
from edgewright.schedules.cpu.conv2d_winograd_program import Constants
from edgewright.schedules.cpu.fourier_programs import (
    complex_forward,
    complex_inverse,
    real_forward,
    real_inverse,
)
from edgewright.schedules.cpu.winograd_matrices import LinearProgram

__all__ = ["FftBuffers", "ForwardTransform", "InverseTransform", "TilePlace", "programs"]

#: Largest transform that has code of its own for tiles without padding; more takes long to build.
MAX_POINTS_TWICE = 24


@dataclass(frozen=True)
class FftBuffers:
    """The kernel's buffers, and where the parts of the scratch memory begin.

    Attributes:
        x, weights, bias, residual, scratch, y: parameters; None for those that it lacks.
        products, strip, inputs: first elements of the parts of ``scratch``.
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
class TilePlace:
    """Where a task's tiles are: image, and the first row and column of tiles."""

    batch: Any
    row: Any
    col: Any


def programs(geometry: FftGeometry) -> list[LinearProgram]:
    """Every program of a kernel, for its table of coefficients."""
    rows, cols = geometry.rows, geometry.cols
    found = [real_forward(rows.points), real_forward(cols.points)]
    found += [complex_forward(cols.points), complex_inverse(cols.points, cols.outputs)]
    found += [real_inverse(cols.points, cols.outputs)]
    return [*found, *(real_inverse(rows.points, n) for n in {rows.outputs, rows.last_outputs})]


class _Transform:
    """What both directions share: how positions and tiles lie in memory."""

    def __init__(self, geometry: FftGeometry, constants: Constants) -> None:
        self.g = geometry
        self.constants = constants
        self.lanes = geometry.lanes

    def _position(self, base: Any, blocks: int, block: Any, number: Any, tile: Any) -> Any:
        """First element of the real part of a position; the imaginary part is ``_part`` behind."""
        place = (number * blocks + block) * (2 * self.g.tiles) + tile
        return base + place * self.lanes

    @property
    def _part(self) -> int:
        """Elements between real and imaginary part."""
        return self.g.tiles * self.lanes

    def _first_complex(self) -> int:
        """First position of the complex rows."""
        return len(self.g.rows.real_rows) * self.g.half

    def _real_planes(self) -> list[tuple[int, int]]:
        """Planes of the strip with real rows, each with its first position."""
        planes = (0, self.g.rows.points - 1)[: len(self.g.rows.real_rows)]
        return [(plane, number * self.g.half) for number, plane in enumerate(planes)]


class ForwardTransform(_Transform):
    """Emits the transform of a chunk of a task's input channels.

    Args:
        geometry: the workload and its tile sizes.
        constants: coefficients.
    """

    def emit(self, buffers: FftBuffers, place: TilePlace, first: Any, count: Any) -> None:
        """Blocks ``first`` to ``first + count`` of the input channels."""
        self.buffers, self.place = buffers, place
        cols, block_cols = self.g.cols, self.g.config.block_cols
        self.width = cols.window(block_cols)
        self.start = place.col * cols.outputs - cols.lead
        if cols.tiles == block_cols:  # the whole row: what exists is known here
            self.low: Any = min(max(0, cols.lead), self.width)
            self.high: Any = max(self.low, min(self.width, cols.in_extent + cols.lead))
        else:
            self.start = builder.Bind(self.start)
            width = mk.index(self.width)
            self.low = builder.Bind(tirx.min(width, tirx.max(mk.index(0), 0 - self.start)))
            end = tirx.min(width, cols.in_extent - self.start)
            self.high = builder.Bind(tirx.max(self.low, end))
        self._fill_padding()
        with mk.index_loop(count) as channel, mk.index_loop(self.g.config.block_rows) as row:
            block = builder.Bind(first + channel)
            self._columns(block, builder.Bind(place.row + row))
            with mk.index_loop(block_cols) as col:
                tile = builder.Bind(row * block_cols + col)
                self._rows(channel, tile, builder.Bind(col * cols.outputs))

    def _strip(self, plane: Any, column: Any) -> tuple[Any]:
        return (self.buffers.strip + (plane * self.width + column) * self.lanes,)

    @property
    def _one_tile(self) -> bool:
        """Whether rows have one tile, whose missing columns are left out of its programs."""
        return self.g.cols.tiles == 1

    def _fill_padding(self) -> None:
        """Zeros in the strip's columns that lie outside the image; no later pass writes them."""
        if self._one_tile:
            return
        zero = mk.constant(0.0, self.lanes)
        for first, count in ((0, self.low), (self.high, self.width - self.high)):
            if isinstance(count, int) and count == 0:
                continue
            planes = mk.index_loop(self.g.rows.points)
            with mk.index_loop(count, first) as column, planes as plane:
                mk.store(self.buffers.scratch, self._strip(plane, column), zero, self.lanes)

    # -- vertical -------------------------------------------------------------------------------

    def _columns(self, block: Any, tile_row: Any) -> None:
        """Transforms the image columns of a row of tiles."""
        axis = self.g.rows
        top = tile_row * axis.outputs - axis.lead
        if axis.tiles == 1:
            exists = [0 <= r - axis.lead < axis.in_extent for r in range(axis.points)]
            self._each_column(block, -axis.lead, lambda load, r: load(r) if exists[r] else None)
            return
        top = builder.Bind(top)
        inside = tirx.all(top >= 0, top + axis.points <= axis.in_extent)
        clean = partial(self._each_column, block, top, lambda load, r: load(r))
        masked = partial(self._each_column, block, top, partial(self._masked, top))
        whole_tiles = axis.points <= MAX_POINTS_TWICE and any(
            0 <= t * axis.outputs - axis.lead <= axis.in_extent - axis.points
            for t in range(axis.tiles)
        )
        mk.choose([(inside, clean), (True, masked)] if whole_tiles else [(True, masked)])

    def _masked(self, top: Any, load: Callable[[Any], Any], r: int) -> Any:
        """A row of the image, or zeros where there is none."""
        row = top + r
        last = self.g.rows.in_extent - 1
        safe = tirx.max(mk.index(0), tirx.min(mk.index(last), row)) - top
        zero = mk.constant(0.0, self.lanes)
        inside = tirx.all(row >= 0, row <= last)
        return builder.Bind(tirx.Select(inside, load(safe), zero))

    def _each_column(
        self, block: Any, top: Any, fetch: Callable[[Callable[[Any], Any], int], Any]
    ) -> None:
        """The program of one column, in a loop over those that exist."""
        axis, width = self.g.rows, self.g.cols.in_extent
        with mk.index_loop(self.high - self.low, self.low) as column:
            image_column = builder.Bind(self.start + column)

            def load(r: Any) -> Any:
                pixel = mk.pixel_index(top + r, width, image_column)
                at = (self.place.batch, block, mk.index(0), pixel, mk.index(0))
                return mk.load(self.buffers.x, at, self.lanes)

            inputs = [fetch(load, r) for r in range(axis.points)]
            results = run_transform(real_forward(axis.points), inputs, self.constants)
            for plane, value in enumerate(results):
                self._store(self._strip(plane, column), value)

    def _store(self, at: tuple[Any], value: Any) -> None:
        if value is None:
            value = mk.constant(0.0, self.lanes)
        mk.store(self.buffers.scratch, at, value, self.lanes)

    # -- horizontal -----------------------------------------------------------------------------

    def _rows(self, channel: Any, tile: Any, column: Any) -> None:
        """Transforms the rows of one tile's strip into its positions."""
        for plane, position in self._real_planes():
            values = self._row(plane, column)
            results = run_transform(real_forward(self.g.cols.points), values, self.constants)
            self._store_real(channel, tile, position, results)
        with mk.index_loop(self.g.rows.complex_rows) as row:
            pairs = zip(self._row(2 * row + 1, column), self._row(2 * row + 2, column), strict=True)
            values = [part for pair in pairs for part in pair]
            results = run_transform(complex_forward(self.g.cols.points), values, self.constants)
            first = self._first_complex() + row * self.g.cols.points
            base = builder.Bind(self._place(channel, tile, first))
            step = self._place(0, 0, 1) - self._place(0, 0, 0)
            for number, value in enumerate(results):
                at = base + (number // 2 * step + number % 2 * self._part)
                self._store((at,), value)

    def _place(self, channel: Any, tile: Any, position: Any) -> Any:
        blocks = 1 if self.g.depthwise else min(self.g.config.chunk_ic, self.g.in_blocks)
        return self._position(self.buffers.inputs, blocks, channel, position, tile)

    def _row(self, plane: Any, column: Any) -> list[Any]:
        """One row of the strip as vectors; None for columns that are known not to exist."""
        return [
            None
            if self._one_tile and not self.low <= w < self.high
            else mk.load(self.buffers.scratch, self._strip(plane, column + w), self.lanes)
            for w in range(self.g.cols.points)
        ]

    def _store_real(self, channel: Any, tile: Any, position: int, results: Sequence[Any]) -> None:
        """Stores a real signal's transform; its first and last value have no imaginary part."""
        zero = mk.constant(0.0, self.lanes)
        points = self.g.cols.points
        for number in range(self.g.half):
            at = builder.Bind(self._place(channel, tile, position + number))
            real = 2 * number - 1 if number else 0
            has_imaginary = number > 0 and 2 * number < points
            self._store((at,), results[real])
            self._store((at + self._part,), results[real + 1] if has_imaginary else zero)


class InverseTransform(_Transform):
    """Emits the transform back of a chunk of a task's output channels, and the epilogue.

    Args:
        geometry: the workload and its tile sizes.
        constants: coefficients.
        simd: the instruction set's vectors.
    """

    def __init__(self, geometry: FftGeometry, constants: Constants, simd: mk.Simd) -> None:
        super().__init__(geometry, constants)
        self.simd = simd

    def emit(self, buffers: FftBuffers, place: TilePlace, first: Any, count: Any) -> None:
        """Blocks ``first`` to ``first + count`` of the output channels."""
        self.buffers, self.place = buffers, place
        rows, cols = self.g.config.block_rows, self.g.config.block_cols
        with mk.index_loop(count) as channel:
            block = builder.Bind(first + channel)
            with mk.index_loop(rows) as row, mk.index_loop(cols) as col:
                self._rows(channel, builder.Bind(row * cols + col))
                self._columns(block, builder.Bind(place.row + row), builder.Bind(place.col + col))

    def _strip(self, plane: Any, column: Any) -> tuple[Any]:
        place = plane * self.g.cols.outputs + column
        return (self.buffers.strip + place * self.lanes,)

    def _place(self, channel: Any, tile: Any, position: Any) -> Any:
        if self.g.depthwise:  # products take the place of the inputs
            return self._position(self.buffers.inputs, 1, channel, position, tile)
        blocks = self.g.chunk_blocks
        return self._position(self.buffers.products, blocks, channel, position, tile)

    def _rows(self, channel: Any, tile: Any) -> None:
        """Transforms the positions of one tile back into rows of the strip."""
        points, outputs = self.g.cols.points, self.g.cols.outputs
        scratch = self.buffers.scratch
        for plane, position in self._real_planes():
            values = []
            for number in range(self.g.half):
                at = builder.Bind(self._place(channel, tile, position + number))
                values.append(mk.load(scratch, (at,), self.lanes))
                if number > 0 and 2 * number < points:
                    values.append(mk.load(scratch, (at + self._part,), self.lanes))
            results = run_transform(real_inverse(points, outputs), values, self.constants)
            for column, value in enumerate(results):
                mk.store(scratch, self._strip(plane, column), value, self.lanes)
        with mk.index_loop(self.g.rows.complex_rows) as row:
            first = self._first_complex() + row * points
            base = builder.Bind(self._place(channel, tile, first))
            step = self._place(0, 0, 1) - self._place(0, 0, 0)
            values = [
                mk.load(scratch, (base + (k * step + part * self._part),), self.lanes)
                for k in range(points)
                for part in (0, 1)
            ]
            results = run_transform(complex_inverse(points, outputs), values, self.constants)
            for number, value in enumerate(results):
                plane = 2 * row + 1 + number % 2
                mk.store(scratch, self._strip(plane, number // 2), value, self.lanes)

    def _columns(self, block: Any, tile_row: Any, tile_col: Any) -> None:
        """Transforms the strip's columns back into outputs."""
        rows, cols = self.g.rows, self.g.cols
        first = builder.Bind(tile_col * cols.outputs)
        count: Any = cols.outputs
        if cols.last_outputs != cols.outputs:
            count = builder.Bind(tirx.min(mk.index(count), cols.out_extent - first))
        emit = partial(self._each_column, block, (tile_row, first), count)
        cases = [(tile_row < rows.tiles - 1, partial(emit, rows.outputs))]
        if rows.last_outputs != rows.outputs:
            cases.append((True, partial(emit, rows.last_outputs)))
        mk.choose(cases)

    def _each_column(self, block: Any, corner: tuple[Any, Any], count: Any, outputs: int) -> None:
        """``outputs`` rows of ``count`` columns."""
        axis, epilogue = self.g.rows, self.g.workload.epilogue
        tile_row, first = corner
        out_row = builder.Bind(tile_row * axis.outputs)
        bias = None
        if self.buffers.bias is not None:
            bias = mk.load(self.buffers.bias, (block * self.lanes,), self.lanes)
        with mk.index_loop(count) as column:
            values = [
                mk.load(self.buffers.scratch, self._strip(plane, column), self.lanes)
                for plane in range(axis.points)
            ]
            results = run_transform(real_inverse(axis.points, outputs), values, self.constants)
            out_column = builder.Bind(first + column)
            for r, result in enumerate(results):
                at = (self.place.batch, block, out_row + r, out_column, mk.index(0))
                value = result if bias is None else result + bias
                if self.buffers.residual is not None:
                    value = value + mk.load(self.buffers.residual, at, self.lanes)
                value = mk.activate(value, epilogue.activation, self.simd)
                mk.store(self.buffers.y, at, value, self.lanes)
