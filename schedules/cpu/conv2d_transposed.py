"""Transposed convolution on blocked activations, phase by phase.

Algorithm: ``y[n, o, ih*s + kh*d - p, iw*s + kw*d - p]`` is the sum over ``i, kh, kw`` of
``x[n, i, ih, iw] * w[i, o, kh, kw]``. The outputs of one phase, those with equal remainders modulo
the strides, are a convolution of stride 1 by a part of the kernel (see
:mod:`.conv2d_transposed_phases`), and are computed by the direct convolution's schedule.

Schedule::

    before                          after
    for n, o, i, ih, iw:            parallel task: (n, rows, oc tiles)
      for kh, kw:                     for phase of rows, phase of columns:
        y[.., ih*s + kh, ..] +=         for oc tile, row, column tile:
          x * w                           tile = bias
                                          for taps of the phase, i: tile += x[i] * w[i]
                                          y[.., row*s + phase, ..] = activation(tile + residual)

Phases of equal code are a loop, so that the code does not grow with the stride.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TILE_CYCLES, split_tasks, step_cycles, tiles_of
from edgewright.schedules.cpu import conv2d_direct
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig
from edgewright.schedules.cpu.conv2d_transposed_emit import TransposedEmitter
from edgewright.schedules.cpu.conv2d_transposed_phases import (
    PhaseBlock,
    PhaseGeometry,
    phase_blocks,
    phase_taps,
)
from edgewright.schedules.kernel import Declined, Kernel, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.workload import Conv2dTransposedWorkload
from edgewright.spec.target import Target

__all__ = ["offer", "phase_kernel", "refusal"]

FAMILY = "direct"

_Phases = tuple[tuple[PhaseBlock, PhaseGeometry], ...]
_Array = npt.NDArray[np.float32]


def offer(workload: Conv2dTransposedWorkload, target: Target) -> Offer | Declined:
    """The best kernel for a workload over blocked activations, or why there is none."""
    reason = refusal(workload)
    if reason:
        return Declined(FAMILY, reason)
    if workload.is_depthwise:
        return Declined(FAMILY, "depthwise transposed convolutions have a family of their own")
    cost, config = _cheapest(workload, target)
    name = convolution_name("transposed_direct", config.stem(), target.isa.name, workload)
    build = partial(build_kernel, workload, config, target, name, cost)
    return Offer(algorithm=FAMILY, name=name, cost=cost, build=build, config=config.stem())


def refusal(workload: Conv2dTransposedWorkload) -> str:
    """Why no family takes a workload, or an empty string."""
    w = workload
    if w.epilogue.refusal:
        return w.epilogue.refusal
    if w.out_h < 1 or w.out_w < 1:
        return "the output is empty"
    if w.in_channels % w.groups or w.out_channels % w.groups:
        return f"{w.groups} groups do not divide {w.in_channels} and {w.out_channels} channels"
    return ""


def _phases(workload: Conv2dTransposedWorkload, target: Target) -> _Phases:
    lanes, by_lane = target.isa.vec_lanes, mk.simd_of(target).by_lane
    found = []
    for block in phase_blocks(workload):
        merged = conv2d_direct.merge_groups(block.convolution(workload), lanes)
        found.append((block, PhaseGeometry(merged, lanes, nchw=False, by_lane=by_lane)))
    return tuple(found)


@lru_cache(maxsize=4096)
def _cheapest(
    workload: Conv2dTransposedWorkload, target: Target
) -> tuple[float, Conv2dDirectConfig]:
    """The configuration of least estimated cycles, with its task split filled in."""
    phases = _phases(workload, target)
    geometry = phases[0][1]
    widest = max(block.columns.outputs for block, _ in phases)
    ranked = []
    for tile in conv2d_direct.get_configs(target):
        if tile.tile_oc > geometry.group_blocks or tile.tile_ow > widest:
            continue
        unroll = min(tile.unroll_ic, geometry.group_in)
        config = replace(tile, chunk_ic=geometry.group_in, unroll_ic=unroll)
        ranked.append((_cycles(phases, config, target), tile.tile_oc, tile.tile_ow, config))
    cycles, _, _, config = min(ranked, key=lambda entry: entry[:3])
    return cycles, _with_tasks(phases, config, target, cycles)


def _cycles(phases: _Phases, config: Conv2dDirectConfig, target: Target) -> float:
    """Estimated cycles of the whole transposed convolution."""
    total = 0.0
    for block, geometry in phases:
        steps = geometry.group_in * block.taps
        of_block = 0.0
        for blocks, oc_tiles in tiles_of(geometry.group_blocks, config.tile_oc):
            resident = steps * blocks * geometry.lanes * 4
            for width, ow_tiles in tiles_of(geometry.columns, config.tile_ow):
                step = step_cycles(target, blocks, width, weight_bytes_resident=resident)
                ends = blocks * width * (2 + geometry.workload.epilogue.residual) + TILE_CYCLES
                of_block += oc_tiles * ow_tiles * (steps * step + ends)
        total += of_block * block.count * geometry.rows
    w = phases[0][1].workload
    return total * w.batch * w.groups


def _with_tasks(
    phases: _Phases, config: Conv2dDirectConfig, target: Target, cycles: float
) -> Conv2dDirectConfig:
    """Cuts the work into tasks, as the direct convolution does.

    Where a phase's weights fit half of level 2, a task takes few rows and every output channel, so
    that its rows stay close; else it takes one tile of output channels, whose weights stay.
    """
    geometry = phases[0][1]
    outer = geometry.workload.batch * geometry.workload.groups
    oc_tiles = math.ceil(geometry.group_blocks / config.tile_oc)
    rows = max(block.rows.outputs for block, _ in phases)
    weights = max(block.taps for block, _ in phases) * geometry.group_in * geometry.group_blocks
    if weights * geometry.lanes * 4 <= target.l2_bytes // 2:
        split = split_tasks(target, units=rows, outer=outer, cycles=cycles)
        row_bytes = geometry.group_in * geometry.in_columns * 4
        size = min(split.size, max(1, target.l1_bytes // 2 // row_bytes))
        if outer * math.ceil(rows / size) >= target.num_cores or oc_tiles == 1:
            return replace(config, group_oc=oc_tiles, chunk_rows=size)
    split = split_tasks(target, units=rows, outer=outer * oc_tiles, cycles=cycles)
    return replace(config, group_oc=1, chunk_rows=split.size)


def phase_kernel(weights: _Array, w: Conv2dTransposedWorkload, row: int, column: int) -> _Array:
    """The kernel of one phase's convolution, ``OIHW``, of a transposed one's, ``IOHW``."""
    taps_h = phase_taps(
        row, kernel=w.kernel_h, stride=w.stride_h, pad=w.pad_top, dilation=w.dilation_h
    )
    taps_w = phase_taps(
        column, kernel=w.kernel_w, stride=w.stride_w, pad=w.pad_left, dilation=w.dilation_w
    )
    grouped = weights.reshape(w.groups, -1, *weights.shape[1:]).swapaxes(1, 2)
    turned = grouped.reshape(w.out_channels, -1, w.kernel_h, w.kernel_w)
    kernel: _Array = turned[:, :, taps_h][:, :, :, taps_w]
    return kernel


def pack_weights(
    weights: _Array, workload: Conv2dTransposedWorkload, phases: _Phases, config: Conv2dDirectConfig
) -> _Array:
    """Packs ``IOHW`` weights: phase by phase, each as the direct convolution packs its own."""
    parts = [np.zeros(0, np.float32)]
    for block, geometry in phases:
        if not block.taps:
            continue
        for row, column in block.phases():
            part = phase_kernel(weights, workload, row, column)
            parts.append(conv2d_direct.pack_weights(part, geometry, config, workload.groups))
    packed = np.concatenate(parts)
    return packed if packed.size else np.zeros(phases[0][1].lanes, np.float32)


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dTransposedWorkload,
    config: Conv2dDirectConfig,
    target: Target,
    name: str,
    cost: float,
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b where biased, r where residual, y."""
    phases = _phases(workload, target)
    emitter = TransposedEmitter(workload, phases, config, mk.simd_of(target))
    pack_bias = partial(conv2d_direct.pack_bias, geometry=phases[0][1])
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(pack_weights, workload=workload, phases=phases, config=config),
        pack_bias=pack_bias if workload.epilogue.bias else None,
        cost=cost,
        reason=f"phases as direct convolutions, tile of {config.tile_oc}x{config.tile_ow} vectors",
    )
