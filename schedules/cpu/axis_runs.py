"""Cuts an axis of outputs into groups of equal code, for windows that are unrolled.

Groups at an image's edges have code of their own without the taps that lie in the padding, so that
no padded copy of the input exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.streams import LANES, load_sizes
from edgewright.schedules.workload import Conv2dWorkload, Pool2dWorkload

__all__ = ["AxisRun", "axis_runs", "column_runs", "groups_of_task", "row_runs", "row_steps"]

#: Workloads of a window over an image.
Window = Conv2dWorkload | Pool2dWorkload


@dataclass(frozen=True)
class AxisRun:
    """Groups of outputs along one axis that need equal code.

    Attributes:
        tiles: the groups.
        meets: for each input position from the first on, the pairs (output in the group, tap) that
            read it.
        first: that position, from the input position of the group's first output and tap.
    """

    tiles: mk.ColumnTiles
    meets: tuple[tuple[tuple[int, int], ...], ...]
    first: int


def axis_runs(
    *, in_extent: int, out: int, tile: int, kernel: int, stride: int, pad: int, dilation: int
) -> list[AxisRun]:
    """Cuts an axis into groups of ``tile`` outputs."""
    found = []
    for run in mk.column_tiles(
        in_w=in_extent,
        out_w=out,
        tile=tile,
        kernel=kernel,
        stride=stride,
        pad=pad,
        dilation=dilation,
    ):
        places: dict[int, list[tuple[int, int]]] = {}
        for i in range(run.width):
            for k in range(kernel):
                if (i, k) not in run.missing:
                    places.setdefault(i * stride + k * dilation, []).append((i, k))
        first, end = min(places, default=0), max(places, default=-1) + 1
        meets = tuple(tuple(places.get(place, ())) for place in range(first, end))
        found.append(AxisRun(run, meets, first))
    return found


def row_runs(window: Window, tile: int) -> list[AxisRun]:
    """Groups of ``tile`` output rows."""
    w = window
    return axis_runs(
        in_extent=w.in_h,
        out=w.out_h,
        tile=tile,
        kernel=w.kernel_h,
        stride=w.stride_h,
        pad=w.pad_top,
        dilation=w.dilation_h,
    )


def column_runs(window: Window, tile: int) -> list[AxisRun]:
    """Groups of ``tile`` output columns."""
    w = window
    return axis_runs(
        in_extent=w.in_w,
        out=w.out_w,
        tile=tile,
        kernel=w.kernel_w,
        stride=w.stride_w,
        pad=w.pad_left,
        dilation=w.dilation_w,
    )


def groups_of_task(runs: Sequence[AxisRun], chunk: Any, size: int) -> Iterator[tuple[AxisRun, Any]]:
    """Emits loops over the groups of one task; the caller emits their bodies between the steps.

    Args:
        runs: all groups.
        chunk: number of the task, which takes ``size`` groups; None where one task takes all.
        size: groups of a task.

    Yields:
        A run, and the number of a group in it.
    """
    first = 0
    for run in runs:
        count = run.tiles.count
        if chunk is None:
            extent: Any = count
            begin: Any = 0
        else:
            begin = builder.Bind(tirx.max(mk.index(0), chunk * size - first))
            end = tirx.min(mk.index(count), (chunk + 1) * size - first)
            extent = builder.Bind(tirx.max(mk.index(0), end - begin))
        with mk.index_loop(extent, begin) as number:
            yield run, number
        first += count


def row_steps(rows: AxisRun, columns: AxisRun, in_w: int) -> dict[int, int]:
    """How a stream moves through the input of a group, row by row.

    Args:
        rows: the group's rows.
        columns: its columns.
        in_w: columns of the input.

    Returns:
        For each input row that is read, from the first on, the elements from its last load
        (:func:`.load_sizes`) to the first of the next row that is read.
    """
    read = [place for place, pairs in enumerate(rows.meets) if pairs]
    width = len(columns.meets)
    if not width or not read:
        return {}
    back = (width - load_sizes(width)[-1]) * LANES
    following = [*read[1:], read[-1] + 1]
    return {
        place: (after - place) * in_w * LANES - back
        for place, after in zip(read, following, strict=True)
    }
