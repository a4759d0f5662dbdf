"""Convolution as a matrix product: im2col and GEMM, block by block.

Algorithm: the column matrix has a column for each output pixel, which holds the pixel's inputs
for every channel and tap; the packed weights times this matrix are the output.

Schedule (``c`` lanes, register tile of ``tile_oc`` channel blocks x ``tile_px`` output pixels)::

    before                          after
    for n, o, oh, ow:               parallel task: (n, group, block of pixels, oc tiles)
      for i, kh, kw:                  for chunk of the columns:
        y += x * w                      scratch[step, pixel] = x, or 0 in the padding
                                        for oc tile, tile of pixels:
                                          tile = bias, or the sums so far
                                          for step, lane: tile += scratch[step, pixel] * w[step]
                                          y = activation(tile + residual)

Never the whole matrix exists: a block of it lies in the thread's scratch memory and is small enough
for level 2. A step is a vector of one pixel's inputs, so that filling the block is a copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TASKS_PER_CORE, TILE_CYCLES, core_rates, tiles_of
from edgewright.schedules.cpu import conv2d_direct
from edgewright.schedules.cpu.blocked import pack_channels
from edgewright.schedules.cpu.conv2d_im2col_config import Conv2dIm2colConfig, Im2colGeometry
from edgewright.schedules.cpu.conv2d_im2col_emit import Im2colEmitter
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["Conv2dIm2colConfig", "get_configs", "offer"]

FAMILY = "im2col"
#: Scratch memory of one thread, at most.
MAX_SCRATCH_BYTES = 1 << 20
#: Register tiles of pixels that a block of the column matrix holds, where they fit.
BLOCK_TILES = (2, 4, 8)
#: Instructions, by those counted on a Cortex-A72, around the copy of a vector, of a row, and around
#: one step of a register tile: addresses and loops, which the direct convolution has fewer of.
COPY_INSTRUCTIONS = 4.0
ROW_INSTRUCTIONS = 50.0
STEP_INSTRUCTIONS = 12.0
#: Time of such an instruction, as a share of a vector's load.
INSTRUCTION_LOADS = 0.5


def offer(
    workload: Conv2dWorkload, target: Target, limits: Limits, input_layout: str
) -> Offer | Declined:
    """The best im2col kernel for a workload, or why there is none.

    Args:
        workload: the convolution.
        target: the core.
        limits: ``max_workspace_bytes`` bounds the scratch memory (1 MiB); the sums are those of
            the direct convolution, so there is no error to limit.
        input_layout: ``blocked`` (``NCHW{c}c``) or ``NCHW``.
    """
    nchw = input_layout == "NCHW"
    refusal = _refusal(workload, nchw)
    if refusal:
        return Declined(FAMILY, refusal)
    lanes = target.isa.vec_lanes
    geometry = Im2colGeometry(conv2d_direct.merge_groups(workload, lanes), lanes, nchw)
    room = MAX_SCRATCH_BYTES
    if limits.max_workspace_bytes is not None:
        room = min(room, limits.max_workspace_bytes)
    found = _ranked(geometry, target, room)
    if not found:
        return Declined(FAMILY, f"{room} bytes of scratch memory are too few")
    make = partial(_offer, workload, geometry, target)
    best, *others = found
    return replace(make(*best), others=lambda: [make(*other) for other in others])


def _offer(
    workload: Conv2dWorkload,
    geometry: Im2colGeometry,
    target: Target,
    cost: float,
    config: Conv2dIm2colConfig,
) -> Offer:
    name = convolution_name(
        "im2col" + ("_nchw" if geometry.nchw else ""), config.stem(), target.isa.name, workload
    )
    return Offer(
        algorithm=FAMILY,
        name=name,
        cost=cost,
        build=partial(build_kernel, workload, config, target, geometry.nchw, name, cost),
        scratch_bytes=geometry.scratch_elements(config) * 4,
        config=config.stem(),
    )


def _refusal(workload: Conv2dWorkload, nchw: bool) -> str:
    w = workload
    if w.epilogue.refusal:
        return w.epilogue.refusal
    if w.out_h < 1 or w.out_w < 1:
        return "the output is empty"
    if w.in_channels % w.groups or w.out_channels % w.groups:
        return f"{w.groups} groups do not divide {w.in_channels} and {w.out_channels} channels"
    if w.groups > 1 and nchw:
        return "grouped convolutions read blocked activations"
    if w.is_depthwise:
        return "a depthwise convolution's columns meet one channel each: nothing to multiply"
    return ""


def get_configs(
    geometry: Im2colGeometry, target: Target, room: int
) -> Iterator[Conv2dIm2colConfig]:
    """Register tiles that fit registers, with blocks of columns that fit half of level 2."""
    lanes = geometry.lanes
    limit = min(room, max(target.l2_bytes, target.l1_bytes) // 2)
    for tile in conv2d_direct.get_configs(target):
        if tile.tile_oc > geometry.group_blocks or tile.tile_ow > geometry.pixels:
            continue
        for tiles in BLOCK_TILES:
            block = min(tiles, math.ceil(geometry.pixels / tile.tile_ow)) * tile.tile_ow
            fitting = limit // (block * lanes * 4)
            if fitting < 1:
                continue
            # Equal chunks, so that the last one is no short one.
            chunks = math.ceil(geometry.steps / fitting)
            config = Conv2dIm2colConfig(
                tile_oc=tile.tile_oc,
                tile_px=tile.tile_ow,
                block_px=block,
                chunk_steps=math.ceil(geometry.steps / chunks),
                group_oc=0,
            )
            yield _with_tasks(geometry, config, target)


def _with_tasks(
    geometry: Im2colGeometry, config: Conv2dIm2colConfig, target: Target
) -> Conv2dIm2colConfig:
    """Output channels are divided among tasks, which fill blocks of their own, only if need be."""
    w = geometry.workload
    outer = w.batch * w.groups * geometry.px_blocks(config)
    oc_tiles = geometry.oc_tiles(config)
    wanted = math.ceil(TASKS_PER_CORE * target.num_cores / outer) if target.num_cores > 1 else 1
    return replace(config, group_oc=math.ceil(oc_tiles / min(oc_tiles, wanted)))


@lru_cache(maxsize=4096)
def _ranked(
    geometry: Im2colGeometry, target: Target, room: int
) -> tuple[tuple[float, Conv2dIm2colConfig], ...]:
    """Estimated cycles and configurations, the best first; none: no block fits ``room`` bytes."""
    configs = dict.fromkeys(get_configs(geometry, target, room))
    ranked = [(_cycles(geometry, config, target), config) for config in configs]
    return tuple(sorted(ranked, key=lambda entry: (entry[0], entry[1].stem())))


def _cycles(geometry: Im2colGeometry, config: Conv2dIm2colConfig, target: Target) -> float:
    """Estimated cycles of the whole convolution: register tiles, and filling the columns."""
    g, w = geometry, geometry.workload
    chunks = g.chunks(config)
    moves = 2 + (1 if w.epilogue.residual else 0) + 2 * (chunks - 1)
    total = _fill_cycles(g, config, target)
    for blocks, oc_tiles in tiles_of(g.group_blocks, config.tile_oc):
        for width, px_tiles in tiles_of(g.pixels, config.tile_px):
            step = _step_cycles(g, config, target, blocks, width)
            ends = blocks * width * moves + TILE_CYCLES * chunks
            ends += g.steps * _instructions(STEP_INSTRUCTIONS, target)
            total += oc_tiles * px_tiles * (g.depth * step + ends)
    return total * w.batch * w.groups


def _step_cycles(
    geometry: Im2colGeometry, config: Conv2dIm2colConfig, target: Target, blocks: int, width: int
) -> float:
    """One element of the columns: products, loads, and what comes from level 2."""
    rates, lanes = core_rates(target.isa), geometry.lanes
    depth = min(geometry.depth, config.chunk_steps * lanes)
    far = 0.0
    if depth * blocks * lanes * 4 > target.l1_bytes // 2:
        far += blocks * lanes * 4
    if depth * width * 4 > target.l1_bytes // 2:
        far += width * 4
    inputs = width / lanes if rates.by_lane else width
    busy = max(blocks * width / rates.fma, (blocks + inputs) / rates.load, rates.latency)
    return max(busy, far / rates.far_bytes)


def _instructions(count: float, target: Target) -> float:
    """Cycles of scalar instructions."""
    return count * INSTRUCTION_LOADS / core_rates(target.isa).load


def _fill_cycles(geometry: Im2colGeometry, config: Conv2dIm2colConfig, target: Target) -> float:
    """Filling all blocks of one image and group, once for each task that shares a block."""
    g, rates = geometry, core_rates(target.isa)
    # A load and a store, which takes twice its time.
    moves = 3 / rates.load + _instructions(COPY_INSTRUCTIONS, target)
    copies = (g.depth if g.nchw else g.steps) * g.pixels * moves
    rows = g.px_blocks(config) * math.ceil(config.block_px / g.workload.out_w + 1)
    runs = (g.depth if g.nchw else g.steps) * rows * _instructions(ROW_INSTRUCTIONS, target)
    far = g.steps * g.pixels * g.lanes * 4 / rates.far_bytes
    return (copies + runs + far) * math.ceil(g.oc_tiles(config) / config.group_oc)


def pack_weights(
    weights: npt.NDArray[np.float32],
    geometry: Im2colGeometry,
    config: Conv2dIm2colConfig,
    groups: int,
) -> npt.NDArray[np.float32]:
    """Packs ``OIHW`` weights of ``groups`` groups in the order of use, as one vector.

    For each tile of output channels: element of the columns, output channel. Missing output
    channels are 0.
    """
    g, lanes = geometry, geometry.lanes
    joined = g.workload.groups
    outs = g.workload.out_channels // joined
    whole = g.group_in if g.nchw else g.group_in // lanes * lanes
    by_tap = _join_groups(weights, joined, groups)
    full = by_tap[:, :, :whole]
    if not g.nchw:  # block, tap, channel of the block
        full = full.reshape(joined, outs, whole // lanes, lanes, g.taps).swapaxes(3, 4)
    rest = by_tap[:, :, whole:].swapaxes(2, 3)
    elements = [part.reshape(joined, outs, -1) for part in (full, rest)]
    padded = np.zeros((joined, g.group_blocks * lanes, g.depth), np.float32)
    padded[:, :outs] = np.concatenate(elements, axis=2)
    tile = config.tile_oc * lanes
    parts = [
        group[first : first + tile].T.ravel()
        for group in padded
        for first in range(0, g.group_blocks * lanes, tile)
    ]
    return np.ascontiguousarray(np.concatenate(parts))


def _join_groups(
    weights: npt.NDArray[np.float32], joined: int, groups: int
) -> npt.NDArray[np.float32]:
    """``O(I/g)HW`` weights as (joined groups, outputs, inputs, taps), zeros between groups."""
    outputs, inputs = len(weights) // groups, weights.shape[1]
    parts = groups // joined
    taps = weights.shape[2] * weights.shape[3]
    wide = np.zeros((joined, parts, outputs, parts, inputs, taps), np.float32)
    split = weights.reshape(joined, parts, outputs, inputs, taps)
    for part in range(parts):
        wide[:, part, :, part] = split[:, part]
    return wide.reshape(joined, parts * outputs, parts * inputs, taps)


def _pack_bias(bias: npt.NDArray[np.float32], geometry: Im2colGeometry) -> npt.NDArray[np.float32]:
    """Pads a bias with zeros to whole blocks; joined groups are whole blocks already."""
    return pack_channels(bias, geometry.lanes)


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dWorkload,
    config: Conv2dIm2colConfig,
    target: Target,
    nchw: bool,
    name: str,
    cost: float,
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b and r where there are, scratch, y."""
    simd = mk.simd_of(target)
    merged = conv2d_direct.merge_groups(workload, simd.lanes)
    geometry = Im2colGeometry(merged, simd.lanes, nchw)
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, Im2colEmitter(geometry, config, simd).emit),
        pack_weights=partial(
            pack_weights, geometry=geometry, config=config, groups=workload.groups
        ),
        pack_bias=partial(_pack_bias, geometry=geometry) if workload.epilogue.bias else None,
        scratch_bytes=geometry.scratch_elements(config) * 4,
        cost=cost,
        reason=f"im2col and a matrix product, tile of {config.tile_oc}x{config.tile_px} vectors, "
        f"{config.block_px} pixels of columns at a time",
    )
