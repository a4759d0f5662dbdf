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
from dataclasses import replace
from functools import cache, lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TILE_CYCLES, core_rates, split_tasks
from edgewright.schedules.cpu.conv2d_depthwise_emit import DepthwiseConfig, DepthwiseEmitter
from edgewright.schedules.cpu.conv2d_depthwise_streams import DepthwiseStreamEmitter
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["DepthwiseConfig", "get_configs", "offer"]

FAMILY = "depthwise"
#: Largest number of taps whose products are unrolled and whose weights are kept in registers.
MAX_UNROLLED_TAPS = 9
#: Vector registers for each output vector of an unrolled tile, weights among them; a larger tile
#: gains nothing and costs build time.
REGISTERS_PER_OUTPUT = 4
#: Registers beside a tile and its weights that streams need: the bias, the inputs of one load, two
#: constants of an activation.
STREAM_REGISTERS = 7
#: Fewest vector registers with which taps are unrolled.
UNROLL_REGISTERS = 16


@cache
def get_configs(target: Target) -> tuple[DepthwiseConfig, ...]:
    """Register tiles that leave room for the input vector and some weights."""
    most = core_rates(target.isa).max_accumulators
    heights = (1, 2, 3, 4) if mk.simd_of(target).streams else (1, 2, 4)
    return tuple(
        DepthwiseConfig(tile_oh, tile_ow)
        for tile_oh in heights
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
    best, *others = _ranked(workload, target)
    make = partial(_offer, workload, target)
    return replace(make(*best), others=lambda: [make(*other) for other in others])


def _offer(workload: Conv2dWorkload, target: Target, cost: float, config: DepthwiseConfig) -> Offer:
    name = convolution_name("depthwise", config.stem(), target.isa.name, workload)
    build = partial(build_kernel, workload, config, target, name, cost)
    return Offer(algorithm=FAMILY, name=name, cost=cost, build=build, config=config.stem())


def _refusal(workload: Conv2dWorkload, input_layout: str) -> str:
    w = workload
    if not w.is_depthwise:
        return f"{w.groups} groups of {w.in_channels} channels are not depthwise"
    if w.out_channels != w.in_channels:
        return f"channel multiplier {w.out_channels // w.in_channels} is not 1"
    if input_layout != "blocked":
        return "reads blocked activations only"
    if w.epilogue.refusal:
        return w.epilogue.refusal
    if w.out_h < 1 or w.out_w < 1:
        return "the output is empty"
    return ""


def unrolls(workload: Conv2dWorkload, target: Target) -> bool:
    """Whether rows that see the whole kernel have all taps unrolled."""
    few = workload.kernel_h * workload.kernel_w <= MAX_UNROLLED_TAPS
    return few and target.isa.vec_registers >= UNROLL_REGISTERS


def streams(workload: Conv2dWorkload, target: Target) -> bool:
    """Whether inputs are read several vectors at a time, while weights stay in registers."""
    few = workload.kernel_h * workload.kernel_w <= MAX_UNROLLED_TAPS
    return few and mk.simd_of(target).streams


def _suits(workload: Conv2dWorkload, config: DepthwiseConfig, target: Target) -> bool:
    """Several rows only where they share most of their input: unrolled, stride 1."""
    if config.tile_ow > workload.out_w or config.tile_oh > workload.out_h:
        return False
    if streams(workload, target):
        taps = workload.kernel_h * workload.kernel_w
        outputs = config.tile_oh * config.tile_ow
        return outputs + taps + STREAM_REGISTERS <= target.isa.vec_registers
    unrolled = unrolls(workload, target)
    if config.tile_oh > 1 and (not unrolled or workload.stride_h > 1):
        return False
    most = target.isa.vec_registers // REGISTERS_PER_OUTPUT
    return not unrolled or config.tile_oh * config.tile_ow <= most


@lru_cache(maxsize=4096)
def _ranked(workload: Conv2dWorkload, target: Target) -> tuple[tuple[float, DepthwiseConfig], ...]:
    """Configurations by estimated cycles, with their task splits; the best has two more splits."""
    w = workload
    ranked = [
        (_cycles(w, config, target), -config.tile_ow, config.tile_oh, config)
        for config in get_configs(target)
        if _suits(w, config, target)
    ]
    ranked.sort(key=lambda entry: entry[:3])
    blocks = w.batch * math.ceil(w.in_channels / target.isa.vec_lanes)
    found: list[tuple[float, DepthwiseConfig]] = []
    for cycles, _, _, config in ranked:
        units = math.ceil(w.out_h / config.tile_oh)
        split = split_tasks(target, units=units, outer=blocks, cycles=cycles)
        sizes = [split.size]
        if not found:
            sizes += [min(units, split.size * 2), max(1, split.size // 2)]
        found += [(cycles, replace(config, chunk_rows=size)) for size in sizes]
    return tuple(dict.fromkeys(found))


def _cycles(workload: Conv2dWorkload, config: DepthwiseConfig, target: Target) -> float:
    """Estimated cycles: the largest of multiply-adds and loads, tile by tile."""
    w, rates = workload, core_rates(target.isa)
    blocks = w.batch * math.ceil(w.in_channels / target.isa.vec_lanes)
    if streams(w, target):
        emitter = DepthwiseStreamEmitter(w, config, mk.simd_of(target))
        return emitter.instructions() * blocks / rates.fma
    first, end = mk.interior_rows(w)
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
    return total * blocks


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
    lanes, simd = target.isa.vec_lanes, mk.simd_of(target)
    emitter: DepthwiseEmitter | DepthwiseStreamEmitter
    if streams(workload, target):
        emitter = DepthwiseStreamEmitter(workload, config, simd)
    else:
        emitter = DepthwiseEmitter(workload, config, simd, unrolls(workload, target))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(pack_weights, lanes=lanes),
        pack_bias=partial(pack_bias, lanes=lanes) if workload.epilogue.bias else None,
        cost=cost,
        reason=f"depthwise convolution, tile of {config.tile_oh}x{config.tile_ow} vectors",
    )
