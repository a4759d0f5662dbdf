"""A reduction with vectors along the axis that is reduced.

After::

    parallel i:
        acc[c] = identity                                      vectors, in registers
        for k_outer: vector k: acc[c] = combine(acc[c], f)     c: chains, to hide latency
        out[i] = init combined with all lanes of all chains
"""

from __future__ import annotations

from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import const, greatest, least, substitute
from edgewright.schedules.rules.cells import (
    Cell,
    allocate,
    new_cell,
    reduction_loops,
    stored_vector,
)
from edgewright.schedules.rules.loops import serial, vector, widths
from edgewright.schedules.rules.reduction_tile import ReductionTile
from edgewright.schedules.rules.stages import Axis, Stage

__all__ = ["reduce_over_lanes"]


def reduce_over_lanes(
    stage: Stage, tile: ReductionTile, lanes: int, point: dict[Any, Any]
) -> list[Any]:
    """Accumulates and stores one result.

    Args:
        stage: the reduction; each output is combined by one associative operator.
        tile: with a lane axis.
        lanes: elements of a vector.
        point: values of the spatial axes.
    """
    axis = tile.lane_axis
    if axis is None:
        raise ValueError("the tile has no lane axis")
    cells = [new_cell(stage, point, lanes, f"lanes{c}") for c in range(tile.chains)]
    outer = [other for other in stage.reduction if other != axis]
    first = cells[0]
    return [
        *allocate(cells),
        *(_cleared(cell, tile, k) for cell in cells for k in range(len(stage.outputs))),
        *reduction_loops(outer, lambda reduced: _along(cells, axis, reduced)),
        *_folded(cells, tile, lanes),
        *_with_init(first, tile),
        *first.finished(point, const(0)),
    ]


def _cleared(cell: Cell, tile: ReductionTile, k: int) -> Any:
    register = cell.registers[k]
    identity = _identity(tile.combiners[k], str(register.ty.dtype))
    return stored_vector(register, cell.width, lambda _lane: identity)


def _identity(combine: Any, dtype: str) -> Any:
    if combine is tirx.Max:
        return least(dtype)
    if combine is tirx.Min:
        return greatest(dtype)
    return tirx.const(1 if combine is tirx.Mul else 0, dtype)


def _along(cells: list[Cell], axis: Axis, reduced: dict[Any, Any]) -> list[Any]:
    """The whole axis into the lanes: full steps of all chains, then the tail in pieces."""
    lanes = cells[0].width
    step = lanes * len(cells)
    full = axis.extent // step

    def combined(cell: Cell, width: int, start: Any) -> Any:
        def body(lane: Any) -> list[Any]:
            return cell.combined({**cell.point, **reduced, axis.var: start + lane}, lane)

        return vector(width, body)

    def whole(outer: Any) -> list[Any]:
        start = outer * const(step)
        return [combined(cell, lanes, start + const(c * lanes)) for c, cell in enumerate(cells)]

    statements = [serial(f"{axis.var.name}_outer", full, whole)] if full else []
    for i, (offset, width) in enumerate(widths(axis.extent - full * step, lanes)):
        statements.append(combined(cells[i % len(cells)], width, const(full * step + offset)))
    return statements


def _folded(cells: list[Cell], tile: ReductionTile, lanes: int) -> list[Any]:
    """All lanes of all cells into lane 0 of the first, by halves."""
    statements: list[Any] = []
    for k, combine in enumerate(tile.combiners):
        first = cells[0].registers[k]
        for cell in cells[1:]:
            other = cell.registers[k]
            statements.append(_combined_lanes(combine, first, lanes, other, 0))
        width = lanes // 2
        while width:
            statements.append(_combined_lanes(combine, first, width, first, width))
            width //= 2
    return statements


def _combined_lanes(combine: Any, target: Any, width: int, source: Any, offset: int) -> Any:
    """``target[lane] = combine(target[lane], source[offset + lane])``."""
    return stored_vector(
        target, width, lambda lane: combine(target[lane], source[lane + const(offset)])
    )


def _with_init(cell: Cell, tile: ReductionTile) -> list[Any]:
    zero = const(0)
    return [
        tirx.BufferStore(
            register,
            combine(substitute(init, cell.point), tirx.BufferLoad(register, [zero])),
            [zero],
        )
        for register, combine, init in zip(
            cell.registers, tile.combiners, cell.stage.inits or (), strict=True
        )
    ]
