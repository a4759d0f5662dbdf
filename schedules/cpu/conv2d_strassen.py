"""1x1 convolution by Strassen's algorithm: seven products of half-sized matrices instead of eight.

Algorithm: the weights (output x input channels) and the image (input channels x pixels) are cut in
halves both ways. Sums of quarters of the weights are made at compile time, those of the image in a
first phase; each of the seven products is added to one or two quarters of the result::

    before                                  after
    for o, pixel:                           parallel task: sums of quarters of x
      for i: y += x[i] * w[o, i]            parallel task: (tile of output blocks, pixel tiles)
                                              for product of 7, pixel tile:
                                                tile = sum over half the input channels
                                                add it to the result's quarters; the last product
                                                of a quarter adds bias and residual, and activates

It saves an eighth of the products, and costs five additions for four inputs, eight loads and stores
for four results, and weights 7/4 as large: it pays where there are many channels. The error grows
to 1 to 2.5 times the direct convolution's, since sums of inputs are rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import (
    PREFETCH_BYTES,
    TILE_CYCLES,
    core_rates,
    split_tasks,
    step_cycles,
    tile_fits,
    tiles_of,
)
from edgewright.schedules.cpu.conv2d_strassen_config import (
    INPUT_SUMS,
    PRODUCTS,
    Conv2dStrassenConfig,
    Geometry,
)
from edgewright.schedules.cpu.conv2d_strassen_emit import StrassenEmitter
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.streams import (
    LOOP_INSTRUCTIONS,
    load_sizes,
    stream_cycles,
    stream_tile_fits,
)
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["Conv2dStrassenConfig", "get_configs", "offer"]

FAMILY = "strassen"
#: Most output-channel blocks in a register tile.
MAX_TILE_OC = 4
#: Input channels in one turn of the innermost loop.
UNROLL_IC = 4
#: Multiply-adds in one turn of the innermost loop, where it reads through streams.
STREAMED_PRODUCTS = 192
#: Largest error, as a multiple of the direct convolution's; measured up to 2.5 with 64 to 1024
#: channels, normal and rectified inputs.
ERROR = 3.0
#: Cycles for each vector of a register tile and product: loads, additions and stores of results.
RESULT_CYCLES = 4.0
#: Cycles for four vectors of the input, of which five sums are made, beside the memory's.
SUM_CYCLES = 7.0


def get_configs(target: Target) -> Iterator[Conv2dStrassenConfig]:
    """Register tiles that the instruction set holds without spilling."""
    lanes, streams = target.isa.vec_lanes, mk.simd_of(target).streams
    for tile_oc in range(1, MAX_TILE_OC + 1):
        for tile_ow in range(1, target.isa.vec_registers):
            if streams and stream_tile_fits(target.isa, tile_oc, tile_ow, tile_ow):
                blocks = max(1, STREAMED_PRODUCTS // (tile_oc * tile_ow * lanes))
                yield Conv2dStrassenConfig(tile_oc, tile_ow, lanes * blocks)
            elif not streams and tile_fits(target.isa, tile_oc, tile_ow):
                yield Conv2dStrassenConfig(tile_oc, tile_ow, UNROLL_IC)


def offer(
    workload: Conv2dWorkload, target: Target, limits: Limits, input_layout: str
) -> Offer | Declined:
    """The best kernel for a workload, or why there is none.

    Args:
        workload: the convolution.
        target: the core.
        limits: not used; the error is in the offer, and no scratch is needed.
        input_layout: only ``blocked`` is taken.
    """
    refusal = _refusal(workload, target.isa.vec_lanes, input_layout)
    if refusal:
        return Declined(FAMILY, refusal)
    ranked = _ranked(workload, target)
    best, *others = (partial(_offer, workload, target, *entry) for entry in ranked)
    return best(others=lambda: [make() for make in others])


def _refusal(workload: Conv2dWorkload, lanes: int, input_layout: str) -> str:
    w = workload
    if (w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.groups) != (1, 1, 1, 1, 1):
        return "only 1x1 convolutions of stride 1 without groups are one matrix product"
    if any((w.pad_top, w.pad_left, w.pad_bottom, w.pad_right)):
        return "the input is padded"
    if input_layout != "blocked":
        return "it reads blocked activations"
    if w.epilogue.refusal:
        return w.epilogue.refusal
    if w.in_channels % (2 * lanes) or w.out_channels % (2 * lanes):
        return f"{w.in_channels} or {w.out_channels} channels are no even number of {lanes}-blocks"
    if w.in_h * w.in_w % 2:
        return f"{w.in_h * w.in_w} pixels have no halves"
    return ""


def _offer(
    workload: Conv2dWorkload,
    target: Target,
    cost: float,
    config: Conv2dStrassenConfig,
    others: Callable[[], Sequence[Offer]] = tuple,
) -> Offer:
    name = convolution_name("strassen", config.stem(), target.isa.name, workload)
    return Offer(
        algorithm=FAMILY,
        name=name,
        cost=cost,
        build=partial(build_kernel, workload, config, target, name, cost),
        error=ERROR,
        config=config.stem(),
        others=others,
    )


@lru_cache(maxsize=4096)
def _ranked(
    workload: Conv2dWorkload, target: Target
) -> tuple[tuple[float, Conv2dStrassenConfig], ...]:
    """Configurations by estimated cycles, with their task split."""
    geometry = Geometry(workload, target.isa.vec_lanes)
    by_lane = mk.simd_of(target).by_lane
    ahead = PREFETCH_BYTES if geometry.weight_elements * 4 > target.l1_bytes and not by_lane else 0
    ranked = []
    for config in get_configs(target):
        if config.tile_oc > geometry.out_blocks or config.tile_ow > geometry.pixels:
            continue
        cycles = _cycles(geometry, config, target)
        units = max(1, geometry.pixels // config.tile_ow)
        outer = workload.batch * math.ceil(geometry.out_blocks / config.tile_oc)
        split = split_tasks(target, units=units, outer=outer, cycles=cycles)
        ranked.append((cycles, _with(config, split.size, ahead)))
    ranked.sort(key=lambda entry: (entry[0], entry[1].tile_oc, entry[1].tile_ow))
    return tuple(ranked)


def _with(config: Conv2dStrassenConfig, rows: int, ahead: int) -> Conv2dStrassenConfig:
    return Conv2dStrassenConfig(config.tile_oc, config.tile_ow, config.unroll_ic, rows, ahead)


def _cycles(geometry: Geometry, config: Conv2dStrassenConfig, target: Target) -> float:
    """Estimated cycles of the whole convolution."""
    total = 0.0
    for blocks, oc_tiles in tiles_of(geometry.out_blocks, config.tile_oc):
        resident = geometry.channels * blocks * geometry.lanes * 4
        for width, tiles in tiles_of(geometry.pixels, config.tile_ow):
            step = step_cycles(target, blocks, width, weight_bytes_resident=resident)
            if mk.simd_of(target).streams:
                inputs = len(load_sizes(width)) / geometry.lanes
                inputs += LOOP_INSTRUCTIONS / config.unroll_ic
                step += stream_cycles(blocks, width, inputs)
            results = blocks * width * RESULT_CYCLES
            total += oc_tiles * tiles * (geometry.channels * step + results + TILE_CYCLES)
    return geometry.workload.batch * len(PRODUCTS) * total + _sum_cycles(geometry, target)


def _sum_cycles(geometry: Geometry, target: Target) -> float:
    """Estimated cycles of the first phase, which streams the image and the sums."""
    moved = (4 + len(INPUT_SUMS)) * geometry.lanes * 4 / core_rates(target.isa).far_bytes
    return geometry.workload.batch * geometry.in_blocks * geometry.pixels * (SUM_CYCLES + moved)


def pack_weights(
    weights: npt.NDArray[np.float32], geometry: Geometry, config: Conv2dStrassenConfig
) -> npt.NDArray[np.float32]:
    """Packs ``OIHW`` weights: for each tile of output blocks, product, input channel, its outputs.

    The sums of quarters are made in float64 and rounded once. Zeros follow, as far as prefetching
    reaches.
    """
    w = geometry.workload
    matrix = weights.reshape(2, w.out_channels // 2, 2, w.in_channels // 2).astype(np.float64)
    parts = []
    products = [
        sum(sign * matrix[row, :, column] for sign, (row, column) in product.weights)
        for product in PRODUCTS
    ]
    width = config.tile_oc * geometry.lanes
    for first in range(0, w.out_channels // 2, width):
        for product in products:
            parts.append(np.asarray(product, np.float32)[first : first + width].T.ravel())
    parts.append(np.zeros(config.prefetch_bytes // 4, np.float32))
    return np.ascontiguousarray(np.concatenate(parts))


def pack_bias(bias: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A bias over output channels, which are whole blocks, as one vector."""
    return np.ascontiguousarray(bias.reshape(-1))


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dWorkload,
    config: Conv2dStrassenConfig,
    target: Target,
    name: str,
    cost: float,
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b where biased, r where residual, y."""
    geometry = Geometry(workload, target.isa.vec_lanes)
    sums = split_tasks(
        target,
        units=geometry.pixels,
        outer=workload.batch * geometry.in_blocks,
        cycles=_sum_cycles(geometry, target),
    )
    emitter = StrassenEmitter(geometry, config, sums, mk.simd_of(target))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(pack_weights, geometry=geometry, config=config),
        pack_bias=pack_bias if workload.epilogue.bias else None,
        cost=cost,
        reason=f"{len(PRODUCTS)} products of halves instead of 8, {len(INPUT_SUMS)} sums of "
        f"inputs, tile of {config.tile_oc}x{config.tile_ow} vectors",
    )
