"""Choice of a reduction's register tile by an estimate of vector operations for one result."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import Coefficients, depends_on, loads_in, nodes_in
from edgewright.schedules.rules.conditions import branches_on
from edgewright.schedules.rules.loops import widths
from edgewright.schedules.rules.stages import Axis, Stage

__all__ = ["ReductionTile", "choose_tile"]

#: Rows and vector columns that are tried; products above the register budget are left out.
_ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 14)
_COLUMNS = (1, 2, 3, 4)
#: Independent chains of a reduction over lanes: latency of an addition, in issue slots.
_CHAINS = 4


@dataclass(frozen=True)
class ReductionTile:
    """Columns (a spatial axis in vectors), lanes (a reduction axis in vectors), or neither.

    Attributes:
        column_axis: spatial axis in vectors; None for scalar code or lanes.
        tile_columns: vectors of the column axis in one block.
        row_axis: spatial axis of which one block computes several elements.
        tile_rows: those elements.
        lane_axis: reduction axis in vectors.
        chains: independent accumulators along the lane axis.
        combiners: of lanes, the operator that combines two values of each output.
    """

    column_axis: Axis | None = None
    tile_columns: int = 1
    row_axis: Axis | None = None
    tile_rows: int = 1
    lane_axis: Axis | None = None
    chains: int = 1
    combiners: tuple[Any, ...] = ()


def choose_tile(stage: Stage, lanes: int, registers: int) -> ReductionTile:
    """The tile of least estimated cost; scalar code competes too."""
    cost = _Cost(stage, lanes)
    candidates = [(cost.columns(None, 1, None, 1), ReductionTile())]
    vectorisable = [
        axis
        for axis in stage.axes
        if not any(branches_on(value, axis.var) for value in stage.values)
    ]
    for axis in vectorisable:
        if axis.reduce:
            continue
        for tile in _column_tiles(stage, axis, lanes, registers):
            value = cost.columns(axis, tile.tile_columns, tile.row_axis, tile.tile_rows)
            candidates.append((value, tile))
    combiners = _combiners(stage)
    for axis in vectorisable:
        if axis.reduce and combiners is not None:
            chains = max(1, min(_CHAINS, axis.extent // lanes))
            tile = ReductionTile(lane_axis=axis, chains=chains, combiners=combiners)
            candidates.append((cost.lanes_over(axis, chains), tile))
    # The first of equals: smaller tiles make smaller code.
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _column_tiles(stage: Stage, axis: Axis, lanes: int, registers: int) -> Iterator[ReductionTile]:
    """Tiles with vectors along ``axis`` whose accumulators fit the registers."""
    for row, columns in itertools.product((None, *stage.spatial), _COLUMNS):
        if row == axis or (columns > 1 and (columns - 1) * lanes >= axis.extent):
            continue
        pieces = max(_pieces(axis.extent, columns * lanes, lanes))
        for rows in _ROWS if row is not None else (1,):
            if row is not None and rows > row.extent:
                break
            accumulators = rows * pieces * len(stage.outputs)
            if accumulators + pieces + 1 <= registers or rows * columns == 1:
                yield ReductionTile(axis, columns, row, rows)


def _pieces(extent: int, size: int, lanes: int) -> list[int]:
    """Vector operations in each block of ``size`` elements of an extent."""
    full, tail = divmod(extent, size)
    blocks = [len(widths(size, lanes))] * full
    return [*blocks, len(widths(tail, lanes))] if tail else blocks


class _Cost:
    """Estimated operations for each result of the whole reduction."""

    def __init__(self, stage: Stage, lanes: int) -> None:
        self._stage = stage
        self._lanes = lanes
        self._coefficients = Coefficients()
        own = set(stage.outputs)
        self._loads = [
            load for value in stage.values for load in loads_in(value) if load.source not in own
        ]
        self._arithmetic = max(1, sum(len(nodes_in(v, _ARITHMETIC)) for v in stage.values))
        self._steps = math.prod(axis.extent for axis in stage.reduction)

    def columns(self, axis: Axis | None, columns: int, row: Axis | None, rows: int) -> float:
        """Of a tile of ``rows`` by ``columns`` vectors."""
        if axis is None:
            return self._steps * max(4.0, len(self._loads) + self._arithmetic) + 4.0
        extent = axis.extent
        size = columns * self._lanes
        # All blocks but the last are alike.
        blocks = _pieces(extent, size, self._lanes)
        total = self._block(axis, blocks[0], row, rows) * (len(blocks) - 1)
        total += self._block(axis, blocks[-1], row, rows)
        row_blocks = 1 if row is None else -(-row.extent // rows)
        row_extent = 1 if row is None else row.extent
        return total * row_blocks / (row_extent * extent)

    def _block(self, axis: Axis, pieces: int, row: Axis | None, rows: int) -> float:
        """Of one block: all reduction steps, then the stores."""
        step = 0.0
        for load in self._loads:
            times_row = rows if row is not None and depends_on(load.indices[0], [row.var]) else 1
            unit, repeated = self._load_cost(load, axis)
            step += unit * times_row * (pieces if repeated else 1)
        step += self._arithmetic * rows * pieces
        # Too few chains do not hide the latency of the accumulation.
        step = max(step, 4.0 * self._arithmetic * min(1.0, self._steps / 8))
        return self._steps * step + self._store_cost(axis) * rows * pieces + 4.0

    def lanes_over(self, axis: Axis, chains: int) -> float:
        """Of vectors along a reduction axis."""
        step = float(self._arithmetic)
        for load in self._loads:
            step += self._load_cost(load, axis)[0]
        if chains < _CHAINS:
            step = max(step, 4.0 / chains)
        vectors = len(widths(axis.extent, self._lanes))
        outer = self._steps / axis.extent
        return outer * vectors * step + 3.0 * math.log2(self._lanes) + chains + 6.0

    def _load_cost(self, load: Any, axis: Axis | None) -> tuple[float, bool]:
        """Cost of one load, and whether it is repeated for each vector of the axis."""
        if axis is None:
            return 1.0, False
        coefficient = self._coefficients.of(load.indices[0], axis.var)
        if coefficient == 0:
            return 1.0, False
        if coefficient == 1:
            return 1.0, True
        return 1.5 * self._lanes, True

    def _store_cost(self, axis: Axis) -> float:
        index = self._stage.store_indices[0]
        return 1.0 if self._coefficients.of(index, axis.var) == 1 else 1.5 * self._lanes


_ARITHMETIC = (tirx.Add, tirx.Sub, tirx.Mul, tirx.Max, tirx.Min, tirx.Div, tirx.Select)


def _combiners(stage: Stage) -> tuple[Any, ...] | None:
    """The operator of each output where ``value = own op e``; None for anything else."""
    found: list[Any] = []
    for output, value in zip(stage.outputs, stage.values, strict=True):
        kind = type(value)
        if kind not in (tirx.Add, tirx.Mul, tirx.Max, tirx.Min):
            return None
        sides: Sequence[Any] = (value.a, value.b)
        own = [
            s for s in sides if getattr(s, "source", None) is not None and s.source.same_as(output)
        ]
        others = [s for s in sides if s not in own]
        if len(own) != 1 or len(others) != 1:
            return None
        if any(load.source in stage.outputs for load in loads_in(others[0])):
            return None
        found.append(kind)
    return tuple(found)
