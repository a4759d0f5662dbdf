"""Depthwise convolution on blocked activations: every channel has a kernel of its own.

Schedule (register tile of ``tile_oh`` rows x ``tile_ow`` columns of one channel block)::

    before                          after
    for n, c, oh, ow:               parallel task: (n, channel block, rows)
      for kh, kw:                     for group of tile_oh rows:
        y += x * w                      whole kernel inside the image: taps unrolled, weights in
                                          registers, each input vector read once for the tile
                                        else: rows one by one, loop over the kernel's rows inside

Tiles at the left and right edges have code of their own, as in the direct convolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TILE_CYCLES, core_rates, split_tasks
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import conv2d_stem, epilogue_stem, kernel_name
from edgewright.schedules.workload import FUSED_ACTIVATIONS, Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["DepthwiseConfig", "get_configs", "offer"]

FAMILY = "depthwise"
#: Largest number of taps whose products are unrolled and whose weights are kept in registers.
MAX_UNROLLED_TAPS = 9
#: Largest number of output vectors of an unrolled tile: more gain nothing and cost build time.
MAX_UNROLLED_OUTPUTS = 8
#: Vector registers that weights and tile need together; with fewer the weights are read again.
UNROLL_REGISTERS = 32


@dataclass(frozen=True)
class DepthwiseConfig:
    """Tile sizes.

    Attributes:
        tile_oh: output rows in the register tile where the whole kernel is inside the image.
        tile_ow: output columns in the register tile.
        chunk_rows: groups of ``tile_oh`` rows in one task.
    """

    tile_oh: int
    tile_ow: int
    chunk_rows: int = 1

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"oh{self.tile_oh}ow{self.tile_ow}r{self.chunk_rows}"


@cache
def get_configs(target: Target) -> tuple[DepthwiseConfig, ...]:
    """Register tiles that leave room for the input vector and some weights."""
    most = core_rates(target.isa).max_accumulators
    return tuple(
        DepthwiseConfig(tile_oh, tile_ow)
        for tile_oh in (1, 2, 4)
        for tile_ow in range(1, 15)
        if tile_oh * tile_ow <= most
    ) or (DepthwiseConfig(1, 1),)


def offer(
    workload: Conv2dWorkload, target: Target, limits: Limits, input_layout: str
) -> Offer | Declined:
    """The best depthwise kernel for a workload, or why there is none.

    Args:
        workload: the convolution; its groups must equal both channel counts.
        target: the core.
        limits: not used; no scratch, no error.
        input_layout: must be ``blocked``.
    """
    refusal = _refusal(workload, input_layout)
    if refusal:
        return Declined(FAMILY, refusal)
    cost, config = _cheapest(workload, target)
    name = kernel_name(
        "conv2d_depthwise",
        config.stem(),
        target.isa.name,
        conv2d_stem(workload),
        epilogue_stem(workload.epilogue),
    )
    build = partial(build_kernel, workload, config, target, name, cost)
    return Offer(algorithm=FAMILY, name=name, cost=cost, build=build)


def _refusal(workload: Conv2dWorkload, input_layout: str) -> str:
    w = workload
    if not w.is_depthwise:
        return f"{w.groups} groups of {w.in_channels} channels are not depthwise"
    if w.out_channels != w.in_channels:
        return f"channel multiplier {w.out_channels // w.in_channels} is not 1"
    if input_layout != "blocked":
        return "reads blocked activations only"
    activation = w.epilogue.activation
    if activation is not None and activation.kind not in FUSED_ACTIVATIONS:
        return f"activation '{activation.kind}' is not fused"
    if w.out_h < 1 or w.out_w < 1:
        return "the output is empty"
    return ""


def interior_rows(workload: Conv2dWorkload) -> tuple[int, int]:
    """First and one past the last output row that sees all kernel rows."""
    w = workload
    first = math.ceil(w.pad_top / w.stride_h)
    reach = w.in_h - 1 + w.pad_top - (w.kernel_h - 1) * w.dilation_h
    end = min(w.out_h, reach // w.stride_h + 1) if reach >= 0 else 0
    return first, max(first, end)


def unrolls(workload: Conv2dWorkload, target: Target) -> bool:
    """Whether rows that see the whole kernel have all taps unrolled."""
    few = workload.kernel_h * workload.kernel_w <= MAX_UNROLLED_TAPS
    return few and target.isa.vec_registers >= UNROLL_REGISTERS


@lru_cache(maxsize=4096)
def _cheapest(workload: Conv2dWorkload, target: Target) -> tuple[float, DepthwiseConfig]:
    """The configuration of least estimated cycles, with its task split filled in."""
    w = workload
    unrolled = unrolls(w, target)
    ranked = [
        (_cycles(w, config, target), -config.tile_ow, config.tile_oh, config)
        for config in get_configs(target)
        if config.tile_ow <= w.out_w
        and config.tile_oh <= max(1, w.out_h)
        and (
            config.tile_oh * config.tile_ow <= MAX_UNROLLED_OUTPUTS
            if unrolled
            else config.tile_oh == 1
        )
    ]
    cycles, _, _, config = min(ranked, key=lambda entry: entry[:3])
    blocks = w.batch * math.ceil(w.in_channels / target.isa.vec_lanes)
    units = math.ceil(w.out_h / config.tile_oh)
    split = split_tasks(target, units=units, outer=blocks, cycles=cycles)
    return cycles, replace(config, chunk_rows=split.size)


def _cycles(workload: Conv2dWorkload, config: DepthwiseConfig, target: Target) -> float:
    """Estimated cycles: the largest of multiply-adds and loads, tile by tile."""
    w, rates = workload, core_rates(target.isa)
    first, end = interior_rows(w)
    groups = (end - first) // config.tile_oh
    edge_rows = w.out_h - groups * config.tile_oh
    rows = ((config.tile_oh, groups), (1, edge_rows))
    total = 0.0
    taps = w.kernel_h * w.kernel_w
    for width in (config.tile_ow, w.out_w % config.tile_ow):
        tiles = w.out_w // config.tile_ow if width == config.tile_ow else 1
        if not width:
            continue
        in_columns = min((width - 1) * w.stride_w + w.kernel_w, width * w.kernel_w)
        for height, count in rows:
            in_rows = min((height - 1) * w.stride_h + w.kernel_h, height * w.kernel_h)
            spare = target.isa.vec_registers - width * height - 2
            weights = taps if height == 1 else max(0, taps - max(0, spare))
            loads = (in_rows * in_columns + weights) / rates.load
            adds = width * height * taps / rates.fma
            wait = rates.latency * taps
            ends = 2 * width * height + TILE_CYCLES / 2
            total += tiles * count * (max(loads, adds, wait) + ends)
    return total * w.batch * math.ceil(w.in_channels / target.isa.vec_lanes)


def pack_weights(weights: npt.NDArray[np.float32], lanes: int) -> npt.NDArray[np.float32]:
    """Packs ``(C, 1, kh, kw)`` weights as ``(ceil(C/c), kh, kw, c)``, missing channels 0."""
    channels, _, kernel_h, kernel_w = weights.shape
    blocks = math.ceil(channels / lanes)
    padded = np.zeros((blocks * lanes, kernel_h, kernel_w), np.float32)
    padded[:channels] = weights[:, 0]
    tiled = padded.reshape(blocks, lanes, kernel_h, kernel_w).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(tiled).reshape(-1)


def pack_bias(bias: npt.NDArray[np.float32], lanes: int) -> npt.NDArray[np.float32]:
    """Pads a vector over channels with zeros to whole blocks."""
    packed = np.zeros(math.ceil(bias.size / lanes) * lanes, np.float32)
    packed[: bias.size] = bias.reshape(-1)
    return packed


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dWorkload, config: DepthwiseConfig, target: Target, name: str, cost: float
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b where biased, r where residual, y."""
    lanes = target.isa.vec_lanes
    emitter = _Emitter(workload, config, mk.simd_of(target), unrolls(workload, target))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(pack_weights, lanes=lanes),
        pack_bias=partial(pack_bias, lanes=lanes) if workload.epilogue.bias else None,
        cost=cost,
        reason=f"depthwise convolution, tile of {config.tile_oh}x{config.tile_ow} vectors",
    )


@dataclass(frozen=True)
class _Place:
    """Image and channel block."""

    batch: Any
    block: Any


class _Emitter:
    """Emits the schedule of one kernel."""

    def __init__(
        self, workload: Conv2dWorkload, config: DepthwiseConfig, simd: mk.Simd, unrolled: bool
    ) -> None:
        self.w = workload
        self.config = config
        self.simd = simd
        self.unrolled = unrolled
        self.lanes = simd.lanes
        self.blocks = math.ceil(workload.in_channels / simd.lanes)
        self.units = math.ceil(workload.out_h / config.tile_oh)
        self.tiles = mk.column_tiles(
            in_w=workload.in_w,
            out_w=workload.out_w,
            tile=config.tile_ow,
            kernel=workload.kernel_w,
            stride=workload.stride_w,
            pad=workload.pad_left,
            dilation=workload.dilation_w,
        )

    def emit(self) -> None:
        """The whole function."""
        w, lanes, size = self.w, self.lanes, self.config.chunk_rows
        self.x = mk.declare("x", (w.batch, self.blocks, w.in_h, w.in_w, lanes))
        self.weights = mk.declare("w", (self.blocks * w.kernel_h * w.kernel_w * lanes,))
        self.bias = mk.declare("b", (self.blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, self.blocks, w.out_h, w.out_w, lanes)
        self.residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        self.y = mk.declare("y", out_shape)
        row_tasks = math.ceil(self.units / size)
        with builder.parallel(0, w.batch * self.blocks * row_tasks) as task:
            chunk = task % row_tasks
            block = task // row_tasks % self.blocks
            place = _Place(task // (row_tasks * self.blocks), block)
            extent: Any = size
            if self.units % size:
                extent = tirx.min(mk.index(size), self.units - chunk * size)
            with mk.index_loop(extent, chunk * size) as unit:
                self._unit(place, unit)

    def _unit(self, place: _Place, unit: Any) -> None:
        """One group of ``tile_oh`` rows."""
        w, height = self.w, self.config.tile_oh
        first, end = interior_rows(w)
        row = builder.Bind(unit * height)
        if not self.unrolled or end - first < height:
            self._clipped_rows(place, row)
        elif first == 0 and end == w.out_h and w.out_h % height == 0:
            self._columns(place, row, height)
        else:
            with builder.If(tirx.all(row >= first, row + height <= end)):
                with builder.Then():
                    self._columns(place, row, height)
                with builder.Else():
                    self._clipped_rows(place, row)

    def _clipped_rows(self, place: _Place, first: Any) -> None:
        height, out_h = self.config.tile_oh, self.w.out_h
        extent: Any = height
        if out_h % height:
            extent = tirx.min(mk.index(height), out_h - first)
        with mk.index_loop(extent, first) as row:
            self._columns(place, row, 0)

    def _columns(self, place: _Place, row: Any, height: int) -> None:
        """All column tiles of ``height`` unrolled rows, or of one clipped row where it is 0."""
        for run in self.tiles:
            with mk.index_loop(run.count) as number:
                column = run.start + number * self.config.tile_ow
                if height:
                    self._unrolled_tile(place, row, column, run, height)
                else:
                    self._clipped_tile(place, row, column, run)

    def _weight(self, place: _Place, kh: Any, kw: int) -> Any:
        tap = (place.block * self.w.kernel_h + kh) * self.w.kernel_w + kw
        return mk.load(self.weights, (tap * self.lanes,), self.lanes)

    def _input(self, place: _Place, pixel: Any) -> Any:
        indices = (place.batch, place.block, mk.index(0), pixel, mk.index(0))
        return mk.load(self.x, indices, self.lanes)

    def _left(self, run: mk.ColumnTiles) -> int:
        """First input column that a tile reads, from the input column of its first output."""
        w = self.w
        return min(
            i * w.stride_w + kw * w.dilation_w - w.pad_left
            for i in range(run.width)
            for kw in range(w.kernel_w)
            if (i, kw) not in run.missing
        )

    def _start(self, place: _Place) -> Any:
        if self.bias is None:
            return mk.constant(0.0, self.lanes)
        return mk.load(self.bias, (place.block * self.lanes,), self.lanes)

    def _finish(self, place: _Place, row: Any, column: Any, value: Any) -> None:
        place_out = (place.batch, place.block, row, column, mk.index(0))
        if self.residual is not None:
            value = value + mk.load(self.residual, place_out, self.lanes)
        value = mk.activate(value, self.w.epilogue.activation, self.simd)
        mk.store(self.y, place_out, value, self.lanes)

    def _unrolled_tile(
        self, place: _Place, row: Any, column: Any, run: mk.ColumnTiles, height: int
    ) -> None:
        """Every input vector of the tile is read once and used by all the taps that it meets."""
        w = self.w
        weights = [
            [self._weight(place, mk.index(kh), kw) for kw in range(w.kernel_w)]
            for kh in range(w.kernel_h)
        ]
        start = self._start(place)
        sums = {(a, i): start for a in range(height) for i in range(run.width)}
        left = self._left(run)
        top = row * w.stride_h - w.pad_top
        corner = mk.pixel_index(top, w.in_w, column * w.stride_w + left)
        for in_row in range((height - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1):
            rows = _taps_at(in_row, height, w.kernel_h, w.stride_h, w.dilation_h)
            for in_column in range(
                (run.width - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w + 1
            ):
                columns = [
                    tap
                    for tap in _taps_at(in_column, run.width, w.kernel_w, w.stride_w, w.dilation_w)
                    if tap not in run.missing
                ]
                if not rows or not columns:
                    continue
                offset = in_row * w.in_w + in_column - w.pad_left - left
                value = self._input(place, corner + offset)
                for a, kh in rows:
                    for i, kw in columns:
                        total = mk.multiply_add(sums[a, i], value, weights[kh][kw], self.simd)
                        sums[a, i] = builder.Bind(total)
        for (a, i), value in sums.items():
            self._finish(place, row + a, column + i, value)

    def _clipped_tile(self, place: _Place, row: Any, column: Any, run: mk.ColumnTiles) -> None:
        """One row whose kernel rows are those inside the image."""
        w = self.w
        tile = mk.RegisterTile(1, run.width, self.simd)
        tile.fill([self._start(place)])
        first, count = mk.clipped_taps(
            row,
            in_extent=w.in_h,
            kernel=w.kernel_h,
            stride=w.stride_h,
            pad=w.pad_top,
            dilation=w.dilation_h,
            out=w.out_h,
        )
        if len(run.missing) == run.width * w.kernel_w:
            count = mk.index(0)
        left = 0 if len(run.missing) == run.width * w.kernel_w else self._left(run)
        with mk.index_loop(count, first) as kh:
            in_row = row * w.stride_h + kh * w.dilation_h - w.pad_top
            corner = mk.pixel_index(in_row, w.in_w, column * w.stride_w + left)
            for kw in range(w.kernel_w):
                columns = [i for i in range(run.width) if (i, kw) not in run.missing]
                if not columns:
                    continue
                weight = self._weight(place, kh, kw)
                for i in columns:
                    offset = i * w.stride_w + kw * w.dilation_w - w.pad_left - left
                    tile.multiply_add(0, i, self._input(place, corner + offset), weight)
        for i in range(run.width):
            self._finish(place, row, column + i, tile.get(0, i))


def _taps_at(
    position: int, outputs: int, kernel: int, stride: int, dilation: int
) -> list[tuple[int, int]]:
    """Pairs (output, kernel index) that read input ``position``, counted from the tile's first."""
    return [
        (out, k)
        for out in range(outputs)
        for k in range(kernel)
        if out * stride + k * dilation == position
    ]
