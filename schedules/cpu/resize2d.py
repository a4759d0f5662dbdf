"""Resampling of height and width on blocked activations: nearest neighbours and bilinear.

Where an output pixel lies in the input depends on nothing but the shapes. A table, made here and
passed as a constant, holds for each output row and each output column the input position before it,
the one behind it, and the weight of the latter, computed in float32 as ONNX defines it.

Schedule::

    before                          after
    for n, c, oh, ow:               parallel task: (n, channel block, rows)
      y = mix of x at four pixels     for row: positions and weight of the row
                                        for column: y = mix of four vectors (nearest: a copy)

Nearest neighbours at a whole factor need no table: each input vector is stored to its rectangle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import split_tasks
from edgewright.schedules.cpu.blocked import shape_stem
from edgewright.schedules.kernel import Declined, Kernel, Offer
from edgewright.schedules.names import kernel_name
from edgewright.schedules.workload import Resize2dWorkload
from edgewright.spec.target import Target

__all__ = ["COORDINATES", "ROUNDINGS", "Axis", "offer", "resampled_axis", "table"]

COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
#: Most stores of one input vector that are unrolled.
MAX_COPIES = 16
#: Entries of the table for each output position: both input positions and the weight.
ENTRIES = 3


@dataclass(frozen=True)
class Axis:
    """Where the output positions of an axis lie in the input.

    Attributes:
        before, after: positions of the neighbours, equal for ``nearest``.
        weight: share of ``after``; that of ``before`` is one minus it.
    """

    before: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]


def resampled_axis(in_extent: int, out_extent: int, w: Resize2dWorkload) -> Axis:
    """The positions of one axis, by the formulas of ONNX's operator ``Resize``, in float32.

    Float32 matters where a position lies between two pixels: onnxruntime rounds there as it does.
    """
    one, half = np.float32(1), np.float32(0.5)
    out = np.arange(out_extent, dtype=np.float32)
    scale = np.float32(out_extent) / np.float32(in_extent)
    if w.coordinates == "align_corners":
        at = out * np.float32(in_extent - 1) / np.float32(max(1, out_extent - 1))
    elif w.coordinates == "asymmetric":
        at = out / scale
    elif w.coordinates == "pytorch_half_pixel" and out_extent == 1:
        at = np.zeros_like(out)
    else:
        at = (out + half) / scale - half
    last = in_extent - 1
    if w.method == "nearest":
        rounded = {
            "round_prefer_floor": lambda: np.ceil(at - half),
            "round_prefer_ceil": lambda: np.floor(at + half),
            "floor": lambda: np.floor(at),
            "ceil": lambda: np.ceil(at),
        }[w.rounding]()
        index = np.clip(rounded, 0, last).astype(np.int64)
        return Axis(index, index, np.zeros(out_extent, np.float32))
    inside = np.clip(at, np.float32(0), np.float32(last))
    before = np.floor(inside).astype(np.int64)
    weight = np.minimum(inside - before.astype(np.float32), one)
    return Axis(before, np.minimum(before + 1, last), weight)


def table(w: Resize2dWorkload) -> npt.NDArray[np.float32]:
    """The kernel's second argument: rows, then columns, each (before, after, weight)."""
    parts = []
    for axis in (resampled_axis(w.in_h, w.out_h, w), resampled_axis(w.in_w, w.out_w, w)):
        columns = [axis.before.astype(np.float32), axis.after.astype(np.float32), axis.weight]
        parts.append(np.stack(columns, axis=1).ravel())
    return np.concatenate(parts)


def whole_factor(in_extent: int, out_extent: int, w: Resize2dWorkload) -> int:
    """How often each input position is repeated in order, or 0 where that is not all."""
    factor = out_extent // in_extent
    axis = resampled_axis(in_extent, out_extent, w)
    repeated = np.repeat(np.arange(in_extent), factor)
    return factor if w.method == "nearest" and np.array_equal(axis.before, repeated) else 0


def offer(workload: Resize2dWorkload, target: Target) -> Offer | Declined:
    """The kernel of a workload over blocked activations, or why there is none."""
    w = workload
    if w.coordinates not in COORDINATES:
        return Declined("resize2d", f"coordinates '{w.coordinates}' are not generated")
    if w.method == "nearest" and w.rounding not in ROUNDINGS:
        return Declined("resize2d", f"rounding '{w.rounding}' is not generated")
    factors = (whole_factor(w.in_h, w.out_h, w), whole_factor(w.in_w, w.out_w, w))
    copies = bool(factors[0] and factors[1]) and factors[0] * factors[1] <= MAX_COPIES
    blocks = w.batch * math.ceil(w.channels / target.isa.vec_lanes)
    per_pixel = 1.0 if copies else {"nearest": 3.0, "linear": 8.0}[w.method]
    cycles = blocks * w.out_h * w.out_w * per_pixel
    rows = w.in_h if copies else w.out_h
    split = split_tasks(target, units=rows, outer=blocks, cycles=cycles)
    name = kernel_name(
        f"resize2d_{w.method}" + ("_whole" if copies else ""),
        f"r{split.size}",
        target.isa.name,
        shape_stem((w.batch, w.channels, w.in_h, w.in_w)) + f"_o{w.out_h}x{w.out_w}",
    )
    build = partial(build_kernel, w, split.size, factors if copies else None, target, name, cycles)
    return Offer("resize2d", name, cycles, build)


@lru_cache(maxsize=256)
def build_kernel(
    workload: Resize2dWorkload,
    rows: int,
    factors: tuple[int, int] | None,
    target: Target,
    name: str,
    cost: float,
) -> Kernel:
    """Generates the kernel; its parameters are x, table, y."""
    emitter = _Emitter(workload, rows, target.isa.vec_lanes)
    emit = emitter.emit if factors is None else partial(emitter.emit_copies, *factors)
    how = "table of positions" if factors is None else "each vector stored to its rectangle"
    return Kernel(
        name=name,
        algorithm="resize2d",
        prim_func=mk.kernel_function(name, emit),
        cost=cost,
        reason=f"{workload.method}, {how}",
    )


class _Emitter:
    """Emits the schedule of one kernel; a task has ``rows`` rows."""

    def __init__(self, workload: Resize2dWorkload, rows: int, lanes: int) -> None:
        self.w = workload
        self.rows = rows
        self.lanes = lanes
        self.blocks = math.ceil(workload.channels / lanes)

    def emit(self) -> None:
        """Every output pixel from the pixels that the table names."""
        w = self.w
        self._declare()
        with builder.parallel(0, self._tasks(w.out_h)) as task:
            image, block, first, count = self._decode(task, w.out_h)
            with mk.index_loop(count, first) as row, mk.index_loop(w.out_w) as column:
                value = self._mixed(image, block, row * ENTRIES, (w.out_h + column) * ENTRIES)
                mk.store(self.y, (image, block, row, column, mk.index(0)), value, self.lanes)

    def emit_copies(self, factor_h: int, factor_w: int) -> None:
        """Every input pixel to the ``factor_h`` x ``factor_w`` pixels that show it."""
        w = self.w
        self._declare()
        with builder.parallel(0, self._tasks(w.in_h)) as task:
            image, block, first, count = self._decode(task, w.in_h)
            with mk.index_loop(count, first) as row, mk.index_loop(w.in_w) as column:
                value = mk.load(self.x, (image, block, row, column, mk.index(0)), self.lanes)
                for i in range(factor_h):
                    for j in range(factor_w):
                        at = (row * factor_h + i, column * factor_w + j)
                        mk.store(self.y, (image, block, *at, mk.index(0)), value, self.lanes)

    def _declare(self) -> None:
        w, blocks, lanes = self.w, self.blocks, self.lanes
        self.x = mk.declare("x", (w.batch, blocks, w.in_h, w.in_w, lanes))
        self.table = mk.declare("t", ((w.out_h + w.out_w) * ENTRIES,))
        self.y = mk.declare("y", (w.batch, blocks, w.out_h, w.out_w, lanes))

    def _tasks(self, extent: int) -> int:
        return self.w.batch * self.blocks * math.ceil(extent / self.rows)

    def _decode(self, task: Any, extent: int) -> tuple[Any, Any, Any, Any]:
        """Image, block, first row and number of rows of a task."""
        chunks = math.ceil(extent / self.rows)
        first = task % chunks * self.rows
        count: Any = self.rows
        if extent % self.rows:
            count = tirx.min(mk.index(self.rows), extent - first)
        return task // (chunks * self.blocks), task // chunks % self.blocks, first, count

    def _position(self, entry: Any) -> Any:
        """A position from the table, which holds it exactly."""
        return builder.Bind(tirx.Cast("int32", mk.load(self.table, (entry,), 1)))

    def _mixed(self, image: Any, block: Any, row: Any, column: Any) -> Any:
        """The output pixel whose row and column have their entries from ``row`` and ``column``."""

        def pixel(row_entry: Any, column_entry: Any) -> Any:
            at = self._position(row_entry), self._position(column_entry)
            return mk.load(self.x, (image, block, *at, mk.index(0)), self.lanes)

        if self.w.method == "nearest":
            return pixel(row, column)
        along = mk.broadcast(mk.load(self.table, (column + 2,), 1), self.lanes)
        across = mk.broadcast(mk.load(self.table, (row + 2,), 1), self.lanes)
        lines = []
        for line in (row, row + 1):
            left, right = pixel(line, column), pixel(line, column + 1)
            lines.append(builder.Bind(left + (right - left) * along))
        return lines[0] + (lines[1] - lines[0]) * across
