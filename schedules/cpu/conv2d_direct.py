"""Direct convolution on blocked activations.

Algorithm: ``y[n, o, oh, ow]`` is the sum over ``i, kh, kw`` of
``x[n, i, oh*s + kh*d - p, ow*s + kw*d - p] * w[o, i, kh, kw]``.

Schedule (``c`` lanes, register tile of ``tile_oc`` channel blocks x ``tile_ow`` columns)::

    before                          after
    for n, o, oh, ow:               parallel task: (n, rows, oc tiles)
      for i, kh, kw:                  for oc tile, chunk of input channels, row, column tile:
        y += x * w                      tile = bias, or the sums so far
                                        for kh inside the image, kw, i: tile += x[i] * w[i]
                                        y = activation(tile + residual)

Tiles at the image's edges have code of their own that leaves the padding out, so no padded copy of
the input exists. A 1x1 convolution without stride and padding sees its image as one long row.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import (
    PREFETCH_BYTES,
    chunks_of,
    longest_share,
    split_tasks,
    tile_fits,
)
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig, Geometry
from edgewright.schedules.cpu.conv2d_direct_cost import estimate
from edgewright.schedules.cpu.conv2d_direct_emit import DirectEmitter
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.streams import stream_tile_fits
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["Conv2dDirectConfig", "get_configs", "offer"]

FAMILY = "direct"
#: Most output-channel blocks in a register tile; more make too few tasks.
MAX_TILE_OC = 8
#: Multiply-adds in one turn of the innermost loop, where it reads through streams.
STREAMED_PRODUCTS = 192
#: How much longer tasks take that share their rows with others, by a rough guess.
READ_AGAIN = 1.02


@lru_cache(maxsize=4096)
def get_configs(target: Target, geometry: Geometry | None = None) -> tuple[Conv2dDirectConfig, ...]:
    """Register tiles that the instruction set holds without spilling.

    Args:
        target: the core.
        geometry: the workload, which decides how many inputs a tile holds that reads streams.
    """

    def fits(tile_oc: int, tile_ow: int) -> bool:
        if geometry is None or not geometry.streams:
            return tile_fits(target.isa, tile_oc, tile_ow)
        return stream_tile_fits(target.isa, tile_oc, tile_ow, geometry.held_inputs(tile_ow))

    return tuple(
        Conv2dDirectConfig(tile_oc, tile_ow)
        for tile_oc in range(1, MAX_TILE_OC + 1)
        for tile_ow in range(1, target.isa.vec_registers)
        if fits(tile_oc, tile_ow)
    )


def offer(
    workload: Conv2dWorkload, target: Target, limits: Limits, input_layout: str
) -> Offer | Declined:
    """The best direct kernel for a workload, or why there is none.

    Args:
        workload: the convolution.
        target: the core.
        limits: not used; a direct convolution needs no scratch and has no error.
        input_layout: ``blocked`` (``NCHW{c}c``) or ``NCHW``.
    """
    nchw = input_layout == "NCHW"
    refusal = _refusal(workload, nchw)
    if refusal:
        return Declined(FAMILY, refusal)
    geometry = geometry_of(workload, target, nchw)
    best = _cheapest(geometry, target)
    make = partial(_offer, workload, target, nchw)
    return replace(make(*best), others=lambda: [make(*o) for o in _others(geometry, target, best)])


def geometry_of(workload: Conv2dWorkload, target: Target, nchw: bool) -> Geometry:
    """A workload as the schedule for a core sees it."""
    simd = mk.simd_of(target)
    merged = merge_groups(workload, simd.lanes)
    return Geometry(merged, simd.lanes, nchw, by_lane=simd.by_lane, streams=simd.streams)


def _offer(
    workload: Conv2dWorkload, target: Target, nchw: bool, cost: float, config: Conv2dDirectConfig
) -> Offer:
    name = convolution_name(
        "direct" + ("_nchw" if nchw else ""), config.stem(), target.isa.name, workload
    )
    build = partial(build_kernel, workload, config, target, nchw, name, cost)
    return Offer(algorithm=FAMILY, name=name, cost=cost, build=build, config=config.stem())


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
    if w.is_depthwise and w.in_channels == w.out_channels:
        return "depthwise convolutions have a family of their own"
    return ""


def merge_groups(workload: Conv2dWorkload, lanes: int) -> Conv2dWorkload:
    """Joins neighbouring groups until their channels are whole blocks.

    The weights between joined groups are zeros: more products, all of them at full speed. Groups
    that never fit become one.
    """
    w = workload
    group_in, group_out = w.in_channels // w.groups, w.out_channels // w.groups
    for joined in range(1, w.groups + 1):
        fits = group_in * joined % lanes == 0 and group_out * joined % lanes == 0
        if w.groups % joined == 0 and fits:
            return replace(w, groups=w.groups // joined)
    return replace(w, groups=1)


def _cheapest(geometry: Geometry, target: Target) -> tuple[float, Conv2dDirectConfig]:
    """The configuration of least estimated cycles, with its task split filled in."""
    cycles, config = _ranked(geometry, target)[0]
    return cycles, _with_tasks(geometry, config, target, cycles)


@lru_cache(maxsize=4096)
def _ranked(geometry: Geometry, target: Target) -> tuple[tuple[float, Conv2dDirectConfig], ...]:
    """Configurations by estimated cycles, their task split still to be filled in."""
    ranked = []
    for config in get_configs(target, geometry):
        if config.tile_oc > geometry.group_blocks or config.tile_ow > geometry.columns:
            continue
        full = _with_chunk(geometry, config, target)
        ranked.append((estimate(geometry, full, target), config.tile_oc, config.tile_ow, full))
    ranked.sort(key=lambda entry: entry[:3])
    return tuple((cycles, config) for cycles, _, _, config in ranked)


def _others(
    geometry: Geometry, target: Target, best: tuple[float, Conv2dDirectConfig]
) -> list[tuple[float, Conv2dDirectConfig]]:
    """What to measure beside the cheapest: no prefetching, other task splits, then other tiles.

    Of the tiles, the best of each ``tile_oc`` come first: neighbours differ by little.
    """
    cycles, config = best
    oc_tiles = math.ceil(geometry.group_blocks / config.tile_oc)
    units = geometry.columns // config.tile_ow if geometry.flat else geometry.rows
    found = [(cycles, replace(config, prefetch_bytes=0))]
    found += [
        (cycles, replace(config, group_oc=group, chunk_rows=rows))
        for group, rows in (
            (config.group_oc, max(1, config.chunk_rows // 2)),
            (config.group_oc, min(units, config.chunk_rows * 2)),
            (oc_tiles if config.group_oc == 1 else 1, config.chunk_rows),
        )
    ]
    tiles = _ranked(geometry, target)
    first = {tile.tile_oc: tile for _, tile in reversed(tiles)}
    for tile_cycles, tile in sorted(tiles, key=lambda entry: entry[1] != first[entry[1].tile_oc]):
        found.append((tile_cycles, _with_tasks(geometry, tile, target, tile_cycles)))
    return [entry for entry in dict.fromkeys(found) if entry[1] != config]


def _with_chunk(
    geometry: Geometry, config: Conv2dDirectConfig, target: Target
) -> Conv2dDirectConfig:
    """Chooses ``chunk_ic`` so that a tile's weights stay in half of level 2 between rows.

    Where all weights exceed level 1 they are asked for ahead of their use; not where products are
    by lane, since those cores' own prefetchers follow one stream and an instruction counts there.
    """
    channels = geometry.group_in
    unroll = config.unroll_ic if not geometry.channels_first else 1
    if geometry.streams and not geometry.nchw:
        products = config.tile_oc * config.tile_ow * geometry.lanes
        unroll = geometry.lanes * max(1, STREAMED_PRODUCTS // products)
    bytes_per_channel = geometry.taps * config.tile_oc * geometry.lanes * 4
    passes = geometry.rows if not geometry.flat else geometry.columns // config.tile_ow
    chunk = channels
    if passes > 1 and channels % geometry.lanes == 0 and not geometry.nchw:
        limit = max(target.l2_bytes, target.l1_bytes) // 2
        blocks = channels // geometry.lanes
        fitting = [
            blocks // parts * geometry.lanes
            for parts in range(1, blocks + 1)
            if blocks % parts == 0 and blocks // parts * geometry.lanes * bytes_per_channel <= limit
        ]
        chunk = fitting[0] if fitting else geometry.lanes
    weight_bytes = geometry.weight_elements * 4
    ahead = PREFETCH_BYTES if weight_bytes > target.l1_bytes and not geometry.by_lane else 0
    return replace(config, chunk_ic=chunk, unroll_ic=min(unroll, chunk), prefetch_bytes=ahead)


def _with_tasks(
    geometry: Geometry, config: Conv2dDirectConfig, target: Target, cycles: float
) -> Conv2dDirectConfig:
    """Cuts the work into tasks.

    Where all packed weights fit half of level 2, a task takes few rows and many output channels,
    so that its rows stay in level 1: all of them, or a part for each core where the rows alone
    would leave a core idle. Else it takes one tile of output channels, whose weights stay.
    """
    w = geometry.workload
    oc_tiles = math.ceil(geometry.group_blocks / config.tile_oc)
    units = max(1, geometry.columns // config.tile_ow if geometry.flat else geometry.rows)
    outer = w.batch * w.groups
    one_chunk = config.chunk_ic == geometry.group_in
    if one_chunk and geometry.weight_elements * 4 <= target.l2_bytes // 2:
        most = _rows_in_level1(geometry, config, target)
        splits = []
        for parts in sorted({min(oc_tiles, parts) for parts in (1, target.num_cores)}):
            split = split_tasks(target, units=units, outer=outer * parts, cycles=cycles)
            splits.append(
                replace(
                    config,
                    group_oc=math.ceil(oc_tiles / parts),
                    chunk_rows=min(split.size, most),
                )
            )
        best = min(splits, key=lambda split: _longest_share(geometry, split, target.num_cores))
        tasks = outer * math.ceil(oc_tiles / best.group_oc) * math.ceil(units / best.chunk_rows)
        if tasks >= target.num_cores or oc_tiles == 1:
            return best
    split = split_tasks(target, units=units, outer=outer * oc_tiles, cycles=cycles)
    return replace(config, group_oc=1, chunk_rows=split.size)


def _longest_share(geometry: Geometry, config: Conv2dDirectConfig, threads: int) -> float:
    """Work of the thread that ends last, as its output columns times blocks of channels.

    Tasks of more than one part of the output channels read their rows again, from level 2.
    """
    g, c = geometry, config
    oc_blocks = chunks_of(g.group_blocks, c.group_oc * c.tile_oc)
    if g.flat:
        columns = chunks_of(g.columns // c.tile_ow * c.tile_ow, c.chunk_rows * c.tile_ow)
        columns[-1:] = [sum(columns[-1:]) + g.columns % c.tile_ow]
    else:
        columns = [rows * g.columns for rows in chunks_of(g.rows, c.chunk_rows)]
    sizes = [float(blocks * width) for blocks in oc_blocks for width in columns]
    again = 1.0 if len(oc_blocks) == 1 else READ_AGAIN
    return longest_share(sizes * (g.workload.batch * g.workload.groups), threads) * again


def _rows_in_level1(geometry: Geometry, config: Conv2dDirectConfig, target: Target) -> int:
    """Rows (or flattened tiles) whose input takes at most half of level 1, at least one."""
    w = geometry.workload
    columns = config.tile_ow if geometry.flat else geometry.in_columns * w.stride_h
    return max(1, target.l1_bytes // 2 // (geometry.group_in * columns * 4))


def pack_weights(
    weights: npt.NDArray[np.float32], geometry: Geometry, config: Conv2dDirectConfig, groups: int
) -> npt.NDArray[np.float32]:
    """Packs ``OIHW`` weights into the order in which the kernel reads them, as one vector.

    For each tile of output channels: chunk of input channels, kernel row, kernel column, input
    channel, output channel; input channels come before kernel rows if ``channels_first``. Missing
    output channels are 0. Zeros follow, as far as prefetching reaches.
    """
    w = geometry.workload
    weights = _spread_over_joined_groups(weights, geometry.group_in, groups)
    lanes, per_group = geometry.lanes, w.out_channels // w.groups
    padded = np.zeros(
        (w.groups, geometry.group_blocks * lanes, *weights.shape[1:]), dtype=np.float32
    )
    padded[:, :per_group] = weights.reshape(w.groups, per_group, *weights.shape[1:])
    parts = []
    chunk = geometry.group_in if geometry.nchw else config.chunk_ic
    for group in padded:
        for first in range(0, geometry.group_blocks, config.tile_oc):
            tile = group[first * lanes : (first + config.tile_oc) * lanes]
            if geometry.channels_first:
                parts.append(tile.transpose(1, 2, 3, 0).ravel())
                continue
            chunks = tile.reshape(len(tile), -1, chunk, w.kernel_h, w.kernel_w)
            in_order = chunks.transpose(1, 3, 4, 2, 0)
            is_last = first + config.tile_oc > geometry.group_blocks - (geometry.shared_ic > 1)
            if geometry.shared_ic > 1 and is_last:
                in_order = _share_last_block(in_order, lanes, geometry.shared_ic)
            parts.append(in_order.ravel())
    parts.append(np.zeros(config.prefetch_bytes // 4, np.float32))
    return np.ascontiguousarray(np.concatenate(parts))


def _share_last_block(
    tile: npt.NDArray[np.float32], lanes: int, share: int
) -> npt.NDArray[np.float32]:
    """Packs a tile's last block with ``share`` input channels in a vector, behind theirs of others.

    Args:
        tile: ``(…, input channel, output channel)``.
        lanes: channels of a block.
        share: input channels in a vector.
    """
    *outer, channels, _ = tile.shape
    whole, last = tile[..., :-lanes], tile[..., -lanes : -lanes + lanes // share or None]
    parts = []
    for first in range(0, channels, share):
        group = np.zeros((*outer, lanes // share, share), np.float32)
        some = last[..., first : first + share, :]
        group[..., : some.shape[-2]] = np.swapaxes(some, -1, -2)
        parts += [
            whole[..., first : first + share, :].reshape(*outer, -1),
            group.reshape(*outer, lanes),
        ]
    return np.concatenate(parts, axis=-1)


def _spread_over_joined_groups(
    weights: npt.NDArray[np.float32], group_in: int, groups: int
) -> npt.NDArray[np.float32]:
    """Widens ``O(I/g)HW`` weights of ``groups`` groups to ``group_in`` channels with zeros."""
    narrow = weights.shape[1]
    if narrow == group_in:
        return weights
    wide = np.zeros((len(weights), group_in, *weights.shape[2:]), np.float32)
    outputs = len(weights) // groups
    for group in range(groups):
        first = group * narrow % group_in
        rows = slice(group * outputs, (group + 1) * outputs)
        wide[rows, first : first + narrow] = weights[rows]
    return wide


def pack_bias(bias: npt.NDArray[np.float32], geometry: Geometry) -> npt.NDArray[np.float32]:
    """Pads a bias over output channels with zeros to whole blocks, as one vector."""
    packed = np.zeros(geometry.workload.groups * geometry.group_blocks * geometry.lanes, np.float32)
    packed[: bias.size] = bias.reshape(-1)
    return packed


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dWorkload,
    config: Conv2dDirectConfig,
    target: Target,
    nchw: bool,
    name: str,
    cost: float,
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b where biased, r where residual, y."""
    geometry = geometry_of(workload, target, nchw)
    emitter = DirectEmitter(geometry, config, mk.simd_of(target))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(
            pack_weights, geometry=geometry, config=config, groups=workload.groups
        ),
        pack_bias=partial(pack_bias, geometry=geometry) if workload.epilogue.bias else None,
        cost=cost,
        reason=f"direct convolution, tile of {config.tile_oc}x{config.tile_ow} vectors",
    )
