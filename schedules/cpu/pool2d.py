"""Max and average pooling over blocked activations, with ONNX's semantics.

Schedule of a window (register tile of ``tile_ow`` columns of one channel block)::

    before                          after
    for n, c, oh, ow:               parallel task: (n, channel block, rows)
      for kh, kw:                     for row, column tile:
        y = op(y, x)                    for kh inside the image, kw: tile = op(tile, x)
                                        y = tile, or tile / count

A window over the whole image sums into several accumulators and needs no tiles. A window that lies
wholly in the padding gives the least float for ``max`` and 0 for ``average``, as onnxruntime does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TILE_CYCLES, core_rates, split_tasks
from edgewright.schedules.cpu.pool2d_streams import PoolStreamEmitter
from edgewright.schedules.kernel import Declined, Kernel, Offer
from edgewright.schedules.names import kernel_name
from edgewright.schedules.workload import Pool2dWorkload
from edgewright.spec.target import Target

__all__ = ["GlobalPoolConfig", "PoolConfig", "offer_global", "offer_window"]

KINDS = ("max", "average")
#: The least finite float32: what onnxruntime gives for a window that lies in the padding.
LOWEST = -3.4028234663852886e38
#: Registers beside the columns' results that streams need: one instruction's vectors and a spare.
STREAM_REGISTERS = 6
#: Most rows of a window that are unrolled.
MAX_UNROLLED_ROWS = 5


@dataclass(frozen=True)
class PoolConfig:
    """Tile sizes of a window: output columns in the register tile, rows of one task."""

    tile_ow: int
    chunk_rows: int

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"ow{self.tile_ow}r{self.chunk_rows}"


@dataclass(frozen=True)
class GlobalPoolConfig:
    """Partial results of a window over the whole image."""

    parts: int

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"p{self.parts}"


def offer_global(workload: Pool2dWorkload, target: Target) -> Offer | Declined:
    """The kernel of a window that is the whole image, or why it is not."""
    w = workload
    pads = (w.pad_top, w.pad_left, w.pad_bottom, w.pad_right)
    if w.kind not in KINDS:
        return Declined("pool_global", f"'{w.kind}' is none of {', '.join(KINDS)}")
    if (w.kernel_h, w.kernel_w) != (w.in_h, w.in_w) or any(pads) or w.out_h * w.out_w != 1:
        return Declined("pool_global", "the window is not the whole image")
    config = GlobalPoolConfig(
        parts=min(4, core_rates(target.isa).max_accumulators, w.in_h * w.in_w)
    )
    vectors = w.batch * math.ceil(w.channels / target.isa.vec_lanes) * w.in_h * w.in_w
    cost = vectors / core_rates(target.isa).load
    name = kernel_name(f"{w.kind}_pool2d_global", config.stem(), target.isa.name, _stem(w))
    return Offer("pool_global", name, cost, partial(build_global, w, config, target, name, cost))


def offer_window(workload: Pool2dWorkload, target: Target) -> Offer | Declined:
    """The kernel of any window, or why there is none."""
    w, rates = workload, core_rates(target.isa)
    if w.kind not in KINDS:
        return Declined("pool_window", f"'{w.kind}' is none of {', '.join(KINDS)}")
    if min(w.out_h, w.out_w, w.channels) < 1:
        return Declined("pool_window", "the output is empty")
    blocks = w.batch * math.ceil(w.channels / target.isa.vec_lanes)
    if streams(w, target):
        tiles = [
            tile
            for tile in range(1, w.out_w + 1)
            if _seen_columns(w, tile) + STREAM_REGISTERS <= target.isa.vec_registers
        ]
        counts = {tile: stream_emitter(w, PoolConfig(tile, 1), target) for tile in tiles}
        cycles, tile_ow = min(
            (emitter.instructions() / rates.fma, -tile) for tile, emitter in counts.items()
        )
        tile_ow, cost = -tile_ow, blocks * cycles
    else:
        limit = min(8, rates.max_accumulators)
        tile_count = math.ceil(w.out_w / limit)
        tile_ow = math.ceil(w.out_w / tile_count)
        taps = w.kernel_h * w.kernel_w
        cost = blocks * w.out_h * (w.out_w * (taps / rates.load + 1) + tile_count * TILE_CYCLES)
    split = split_tasks(target, units=w.out_h, outer=blocks, cycles=cost)
    config = PoolConfig(tile_ow, split.size)
    name = kernel_name(f"{w.kind}_pool2d_window", config.stem(), target.isa.name, _stem(w))
    return Offer("pool_window", name, cost, partial(build_window, w, config, target, name, cost))


def streams(workload: Pool2dWorkload, target: Target) -> bool:
    """Whether a kernel reads several vectors at a time, the window's rows unrolled."""
    w = workload
    # Padding that counts makes the divisors of equal code differ.
    plain = w.kind == "max" or not w.count_include_pad
    fits = _seen_columns(w, 1) + STREAM_REGISTERS <= target.isa.vec_registers
    return mk.simd_of(target).streams and plain and fits and w.kernel_h <= MAX_UNROLLED_ROWS


def _seen_columns(w: Pool2dWorkload, tile: int) -> int:
    """Input columns that ``tile`` output columns see."""
    return (tile - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w + 1


def stream_emitter(
    workload: Pool2dWorkload, config: PoolConfig, target: Target
) -> PoolStreamEmitter:
    """What emits a kernel that reads several vectors at a time."""
    simd = mk.simd_of(target)
    return PoolStreamEmitter(
        workload,
        config.tile_ow,
        config.chunk_rows,
        simd,
        lambda left, right: _combine(workload.kind, left, right, simd),
        LOWEST if workload.kind == "max" else 0.0,
    )


def _stem(w: Pool2dWorkload) -> str:
    pads = f"{w.pad_top}x{w.pad_left}x{w.pad_bottom}x{w.pad_right}"
    count = "i" if w.kind == "average" and w.count_include_pad else ""
    dilation = "" if (w.dilation_h, w.dilation_w) == (1, 1) else f"d{w.dilation_h}x{w.dilation_w}"
    return (
        f"n{w.batch}c{w.channels}h{w.in_h}w{w.in_w}_h{w.out_h}w{w.out_w}"
        f"k{w.kernel_h}x{w.kernel_w}s{w.stride_h}x{w.stride_w}p{pads}{dilation}{count}"
    )


def _combine(kind: str, left: Any, right: Any, simd: mk.Simd) -> Any:
    return mk.maximum(left, right, simd) if kind == "max" else left + right


@lru_cache(maxsize=1024)
def build_global(
    workload: Pool2dWorkload, config: GlobalPoolConfig, target: Target, name: str, cost: float
) -> Kernel:
    """Generates the kernel of a window over the whole image; its parameters are x, y."""
    w, lanes, simd = workload, target.isa.vec_lanes, mk.simd_of(target)
    blocks, pixels, parts = math.ceil(w.channels / lanes), w.in_h * w.in_w, config.parts
    zero = mk.index(0)

    def emit() -> None:
        x = mk.declare("x", (w.batch, blocks, w.in_h, w.in_w, lanes))
        y = mk.declare("y", (w.batch, blocks, 1, 1, lanes))
        with builder.parallel(0, w.batch * blocks) as task:
            image, block = task // blocks, task % blocks

            def pixel(number: Any) -> Any:
                return mk.load(x, (image, block, zero, number, zero), lanes)

            tile = mk.RegisterTile(1, parts, simd)
            for part in range(parts):
                tile.set(0, part, pixel(mk.index(part)))
            with mk.index_loop(pixels // parts - 1, 1) as turn:
                for part in range(parts):
                    value = _combine(w.kind, tile.get(0, part), pixel(turn * parts + part), simd)
                    tile.set(0, part, value)
            for rest in range(pixels - pixels % parts, pixels):
                tile.set(0, 0, _combine(w.kind, tile.get(0, 0), pixel(mk.index(rest)), simd))
            value = tile.get(0, 0)
            for part in range(1, parts):
                value = _combine(w.kind, value, tile.get(0, part), simd)
            if w.kind == "average":
                value = value * mk.constant(1.0 / pixels, lanes)
            mk.store(y, (image, block, zero, zero, zero), value, lanes)

    return Kernel(
        name=name,
        algorithm="pool_global",
        prim_func=mk.kernel_function(name, emit),
        cost=cost,
        reason="the window is the whole image",
    )


@lru_cache(maxsize=1024)
def build_window(
    workload: Pool2dWorkload, config: PoolConfig, target: Target, name: str, cost: float
) -> Kernel:
    """Generates the kernel of a window; its parameters are x, y."""
    emitter: _Emitter | PoolStreamEmitter = _Emitter(workload, config, mk.simd_of(target))
    if streams(workload, target):
        emitter = stream_emitter(workload, config, target)
    return Kernel(
        name=name,
        algorithm="pool_window",
        prim_func=mk.kernel_function(name, emitter.emit),
        cost=cost,
        reason=f"window, tile of {config.tile_ow} columns",
    )


class _Emitter:
    """Emits the schedule of one window kernel."""

    def __init__(self, workload: Pool2dWorkload, config: PoolConfig, simd: mk.Simd) -> None:
        self.w = workload
        self.config = config
        self.simd = simd
        self.lanes = simd.lanes
        self.blocks = math.ceil(workload.channels / simd.lanes)

    def emit(self) -> None:
        """The whole function."""
        w, size = self.w, self.config.chunk_rows
        self.x = mk.declare("x", (w.batch, self.blocks, w.in_h, w.in_w, self.lanes))
        self.y = mk.declare("y", (w.batch, self.blocks, w.out_h, w.out_w, self.lanes))
        row_tasks = math.ceil(w.out_h / size)
        tiles = mk.column_tiles(
            in_w=w.in_w,
            out_w=w.out_w,
            tile=self.config.tile_ow,
            kernel=w.kernel_w,
            stride=w.stride_w,
            pad=w.pad_left,
            dilation=w.dilation_w,
        )
        runs = [part for run in tiles for part in _alike(w, run)]
        with builder.parallel(0, w.batch * self.blocks * row_tasks) as task:
            image = task // (row_tasks * self.blocks)
            block = task // row_tasks % self.blocks
            first = task % row_tasks * size
            extent: Any = size
            if w.out_h % size:
                extent = tirx.min(mk.index(size), w.out_h - first)
            with mk.index_loop(extent, first) as row:
                for run in runs:
                    with mk.index_loop(run.count) as number:
                        column = run.start + number * self.config.tile_ow
                        self._tile((image, block), row, column, run)

    def _tile(self, place: tuple[Any, Any], row: Any, column: Any, run: mk.ColumnTiles) -> None:
        w, lanes = self.w, self.lanes
        tile = mk.RegisterTile(1, run.width, self.simd)
        tile.fill([mk.constant(LOWEST if w.kind == "max" else 0.0, lanes)])
        first, count = mk.clipped_taps(
            row,
            in_extent=w.in_h,
            kernel=w.kernel_h,
            stride=w.stride_h,
            pad=w.pad_top,
            dilation=w.dilation_h,
            out=w.out_h,
        )
        left = column * w.stride_w - w.pad_left
        with mk.index_loop(count, first) as kh:
            in_row = row * w.stride_h + kh * w.dilation_h - w.pad_top
            for kw in range(w.kernel_w):
                for i in range(run.width):
                    if (i, kw) in run.missing:
                        continue
                    offset = i * w.stride_w + kw * w.dilation_w
                    value = mk.load(self.x, (*place, in_row, left + offset, mk.index(0)), lanes)
                    tile.set(0, i, _combine(w.kind, tile.get(0, i), value, self.simd))
        for i in range(run.width):
            value = tile.get(0, i)
            if w.kind == "average":
                value = value * self._reciprocal(row, count, run, i)
            mk.store(self.y, (*place, row, column + i, mk.index(0)), value, lanes)

    def _reciprocal(self, row: Any, rows: Any, run: mk.ColumnTiles, i: int) -> Any:
        """One over the elements that an average divides by.

        Padding counts if asked for; what ``ceil_mode`` adds beyond the padding never does.
        """
        w = self.w
        if w.count_include_pad:
            end_h, end_w = w.in_h + w.pad_bottom, w.in_w + w.pad_right
            _, rows = mk.clipped_taps(
                row,
                in_extent=end_h + w.pad_top,
                kernel=w.kernel_h,
                stride=w.stride_h,
                pad=0,
                dilation=w.dilation_h,
                out=w.out_h,
            )
            width = _taps_before(end_w, w, run.start + i)
        else:
            width = w.kernel_w - sum(1 for column, _ in run.missing if column == i)
        if isinstance(rows, int):
            return mk.constant(1.0 / max(1, rows * width), self.lanes)
        count = tirx.max(mk.index(1), rows * width)
        one = tirx.FloatImm("float32", 1.0)
        return mk.broadcast(builder.Bind(one / tirx.Cast("float32", count)), self.lanes)


def _taps_before(end: int, w: Pool2dWorkload, column: int) -> int:
    """Kernel columns of output column ``column`` whose input lies before ``end``."""
    first = column * w.stride_w - w.pad_left
    return sum(1 for kw in range(w.kernel_w) if first + kw * w.dilation_w < end)


def _alike(w: Pool2dWorkload, run: mk.ColumnTiles) -> list[mk.ColumnTiles]:
    """Takes a run of tiles apart where they divide by different counts of padding."""
    end = w.in_w + w.pad_right
    counts = [
        _taps_before(end, w, run.start + number * run.width + i)
        for number in range(run.count)
        for i in range(run.width)
    ]
    if not w.count_include_pad or len(set(counts)) == 1:
        return [run]
    starts = range(run.start, run.start + run.count * run.width, run.width)
    return [mk.ColumnTiles(start, 1, run.width, run.missing) for start in starts]
