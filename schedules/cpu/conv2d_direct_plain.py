"""Products of a direct convolution that reads plain ``NCHW``: vectors of a row feed all columns.

::

    for input channel, kernel row inside the image:
      row = the input columns that the tile's output columns see, as vectors
      for kernel column kw, column i: tile[i] += row[i * stride + kw] * w[channel, kernel row, kw]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.schedules import microkernel as mk
from edgewright.schedules.streams import (
    LANES,
    StepRegisters,
    VectorStream,
    load_sizes,
    multiply_steps,
)
from edgewright.schedules.workload import Conv2dWorkload

__all__ = [
    "UNROLLED_TAPS",
    "PlainLoads",
    "PlainRow",
    "PlainStreams",
    "RowSpan",
    "row_span",
    "vectors_of_lanes",
]

#: Most taps of a kernel whose rows are unrolled.
UNROLLED_TAPS = 9


@dataclass(frozen=True)
class RowSpan:
    """The input columns that a tile of output columns sees in a row.

    Attributes:
        left: the first, from the input column of the tile's first output column, padding left out.
        taps: output column, kernel column and input column from ``left`` on, of each product.
    """

    left: int
    taps: tuple[tuple[int, int, int], ...]

    @property
    def length(self) -> int:
        """Input columns from the first to the last."""
        return 1 + max(position for _, _, position in self.taps)


@dataclass(frozen=True)
class PlainRow:
    """Where a tile's products begin.

    Attributes:
        batch: the image.
        top: input row of the first kernel row; negative in the padding.
        column: input column of the tile's first output column, padding left out.
        kernel_rows: first kernel row inside the image and how many there are.
        weight: index of the packed weights of an input channel and kernel row.
    """

    batch: Any
    top: Any
    column: Any
    kernel_rows: tuple[Any, Any]
    weight: Callable[[Any, Any], Any]


def row_span(w: Conv2dWorkload, run: mk.ColumnTiles) -> RowSpan | None:
    """What a run's tiles see of a row; None if they lie in the padding."""
    taps = [
        (i, kw, i * w.stride_w + kw * w.dilation_w - w.pad_left)
        for kw in range(w.kernel_w)
        for i in range(run.width)
        if (i, kw) not in run.missing
    ]
    if not taps:
        return None
    left = min(position for _, _, position in taps)
    return RowSpan(left, tuple((i, kw, position - left) for i, kw, position in taps))


class PlainStreams:
    """Emits a tile's products through streams.

    Args:
        workload: the convolution.
        x: the input.
        weights: the packed weights.
        runs: all runs of column tiles.
    """

    def __init__(
        self, workload: Conv2dWorkload, x: Any, weights: Any, runs: Sequence[mk.ColumnTiles]
    ) -> None:
        self.w = workload
        self.inputs, self.weights = VectorStream(x), VectorStream(weights)
        spans = [span for run in runs if (span := row_span(workload, run))]
        steps = {self._last_step(span) for span in spans}
        self.steps = StepRegisters({*steps, self._channel_step()})

    def _row_step(self) -> int:
        return self.w.dilation_h * self.w.in_w

    def _channel_step(self) -> int:
        """Elements from behind a channel's last kernel row to the next channel's first."""
        return self.w.in_h * self.w.in_w - self.w.kernel_h * self._row_step()

    def _last_step(self, span: RowSpan) -> int:
        """Elements from the vectors of a row's last load to the next row."""
        whole = span.length // LANES
        if not whole:
            return self._row_step()
        return self._row_step() - (whole - load_sizes(whole)[-1]) * LANES

    def emit(self, tile: mk.RegisterTile, place: PlainRow, run: mk.ColumnTiles) -> None:
        """All products of a tile."""
        w, span = self.w, row_span(self.w, run)
        if span is None:
            return
        first, count = place.kernel_rows
        in_row = place.top + first * w.dilation_h
        pixel = mk.pixel_index(in_row, w.in_w, place.column + span.left)
        if not isinstance(count, int):
            with mk.index_loop(w.in_channels) as channel:
                self._start(place, channel, pixel)
                with mk.index_loop(count):
                    self._row(tile, span)
            return
        self._start(place, mk.index(0), pixel)
        unrolled = count if count * w.kernel_w <= UNROLLED_TAPS else 1
        with mk.index_loop(w.in_channels):
            with mk.index_loop(count // unrolled):
                for _ in range(unrolled):
                    self._row(tile, span)
            self.inputs.move(self.steps.get(self._channel_step()))

    def _start(self, place: PlainRow, channel: Any, pixel: Any) -> None:
        """Points to an input channel's first products."""
        self.weights.start((place.weight(channel, place.kernel_rows[0]),))
        self.inputs.start((place.batch, channel, mk.index(0), pixel))

    def _row(self, tile: mk.RegisterTile, span: RowSpan) -> None:
        """One kernel row of one input channel."""
        scalars = self._scalars(span)
        steps = [
            [(i, scalars[position]) for i, k, position in span.taps if k == kw]
            for kw in range(self.w.kernel_w)
        ]
        step = self.steps.get(self._last_step(span))
        multiply_steps(tile, steps, self.weights, self.inputs, step)

    def _scalars(self, span: RowSpan) -> dict[int, Any]:
        """The elements of a row; the last vector overlaps the one before, to stay inside."""
        positions = sorted({position for _, _, position in span.taps})
        whole = span.length // LANES
        if not whole:
            return {position: self.inputs.peek_scalar(position) for position in positions}
        tail = span.length - LANES
        last = self.inputs.peek(tail) if span.length % LANES else None
        vectors = self.inputs.read(whole)
        return {
            position: mk.extract_lane(vectors[position // LANES], position % LANES)
            if position < whole * LANES
            else mk.extract_lane(last, position - tail)
            for position in positions
        }


class PlainLoads:
    """Emits a tile's products with plain loads; the same as :class:`PlainStreams` otherwise."""

    def __init__(self, workload: Conv2dWorkload, x: Any, weights: Any, simd: mk.Simd) -> None:
        self.w = workload
        self.x = x
        self.weights = weights
        self.simd = simd

    def emit(self, tile: mk.RegisterTile, place: PlainRow, run: mk.ColumnTiles) -> None:
        """All products of a tile."""
        w, span = self.w, row_span(self.w, run)
        if span is None:
            return
        first, count = place.kernel_rows
        with mk.index_loop(w.in_channels) as channel, mk.index_loop(count, first) as kh:
            in_row = place.top + kh * w.dilation_h
            pixel = mk.pixel_index(in_row, w.in_w, place.column + span.left)

            def fetch(position: int, width: int) -> Any:
                return mk.load(self.x, (place.batch, channel, mk.index(0), pixel + position), width)

            scalars = vectors_of_lanes(fetch, [p for _, _, p in span.taps], self.simd.lanes)
            row = place.weight(channel, kh)
            for kw in range(w.kernel_w):
                columns = [(i, scalars[p]) for i, k, p in span.taps if k == kw]
                if columns:
                    self._tap(tile, row + kw * (tile.rows * self.simd.lanes), columns)

    def _tap(self, tile: mk.RegisterTile, weight: Any, columns: list[tuple[int, Any]]) -> None:
        """The products of one kernel column."""
        lanes = self.simd.lanes
        vectors = [mk.load(self.weights, (weight + t * lanes,), lanes) for t in range(tile.rows)]
        for i, scalar in columns:
            spread = mk.broadcast(scalar, lanes)
            for t, vector in enumerate(vectors):
                tile.multiply_add(t, i, spread, vector)


def vectors_of_lanes(
    fetch: Callable[[int, int], Any], positions: Sequence[int], lanes: int
) -> dict[int, Any]:
    """Scalars at increasing ``positions``, read as few vectors without touching other positions.

    Args:
        fetch: loads a number of elements (second argument) from a position (first argument).
        positions: element positions that are needed.
        lanes: longest vector to read.

    Returns:
        For each position a scalar expression; whole vectors are read where ``lanes`` positions
        or the span between needed ones are inside the first and last position.
    """
    found: dict[int, Any] = {}
    needed = sorted(set(positions))
    place, last = needed[0], needed[-1]
    while place <= last:
        if place + lanes - 1 <= last:
            vector = fetch(place, lanes)
            for offset in range(lanes):
                found[place + offset] = mk.extract_lane(vector, offset)
            place += lanes
        else:
            if place in needed:
                found[place] = fetch(place, 1)
            place += 1
    return {position: found[position] for position in needed}
