"""Winograd convolution of 3x3 and 5x5 kernels on blocked activations.

Algorithm: ``F(m, r)`` in both directions. A tile of ``m x m`` outputs needs ``(m + r - 1)²``
products for each pair of channels in place of ``m² r²``; the sums over input channels are a matrix
product for each of those positions (see :mod:`.winograd_matrices`).

Schedule (``c`` lanes, register tile of ``tile_oc`` channel blocks x ``tile_t`` tiles)::

    before                          after
    for n, o, oh, ow:               parallel task: (n, block of tiles, group of output channels)
      for i, kh, kw:                  v[p, i, t] = BT x B          for each channel block, tile
        y += x * w                    for chunk of output channels:
                                        for position p, oc tile, chunk of tiles:
                                          tile = 0
                                          for i: tile += v[p, i, t] * w[p, i]
                                          m[p, o, t] = tile
                                        y = activation(AT m A + bias + residual)

``v`` and ``m`` lie in the thread's scratch memory and are small enough for level 2. Where several
tasks need the same ``v``, a parallel loop before them computes it once for all. The packed weights
are in the order of use, so that they stream. The last tile of an axis is a short one with fewer
positions where the outputs are no multiple of ``m``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import PREFETCH_BYTES, TASKS_PER_CORE
from edgewright.schedules.cpu.blocked import pack_channels
from edgewright.schedules.cpu.conv2d_winograd_config import Conv2dWinogradConfig, Geometry
from edgewright.schedules.cpu.conv2d_winograd_cost import error_factor, estimate
from edgewright.schedules.cpu.conv2d_winograd_emit import emit_kernel, transform_constants
from edgewright.schedules.cpu.winograd_matrices import AxisTransform
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["Conv2dWinogradConfig", "get_configs", "offer"]

FAMILY = "winograd"
#: Kernel extents, each with the outputs of a tile that are worth their products.
TILE_OUTPUTS = {3: (2, 3, 4, 5, 6), 5: (2, 3, 4)}
#: Largest error, relative to the direct convolution's, where the user sets no limit.
MAX_ERROR_FACTOR = 4.0
#: Scratch memory of one thread, at most.
MAX_SCRATCH_BYTES = 1 << 20
#: Input channels of a pass, at least: a pass more reads and writes every register tile.
MIN_CHUNK_IC = 64
#: Tiles of a block that are tried: enough to fill register tiles, few enough for level 2.
BLOCK_TILES = (8, 16, 32, 64)
#: Largest ``tile_t`` for each ``tile_oc``, by instruction set, that LLVM keeps in registers.
REGISTER_TILES = {
    "avx512": {1: 12, 2: 14, 3: 9, 4: 7},
    "avx2": {1: 8, 2: 6, 3: 4},
    "sse": {1: 8, 2: 5, 3: 3},
    "neon": {1: 12, 2: 8, 3: 6, 4: 5},
    "neon32": {1: 4, 2: 2, 3: 2},
}
#: The same where tiles are read through streams.
STREAMED_TILES = {1: 12, 2: 9, 3: 6, 4: 5, 5: 4, 7: 3}
#: Points of a transform, at most, of which two fit the registers together.
PAIR_POINTS = 6


def offer(
    workload: Conv2dWorkload, target: Target, limits: Limits, input_layout: str
) -> Offer | Declined:
    """The best Winograd kernel for a workload, or why there is none.

    Args:
        workload: the convolution: 3x3 or 5x5, no stride, dilation or groups.
        target: the core.
        limits: ``max_error`` bounds :attr:`.Offer.error`, a factor of the direct convolution's
            error (4 where it is None); ``max_workspace_bytes`` the scratch memory (1 MiB).
        input_layout: must be ``blocked`` (``NCHW{c}c``).
    """
    refusal = _refusal(workload, target, input_layout)
    if refusal:
        return Declined(FAMILY, refusal)
    bound = MAX_ERROR_FACTOR if limits.max_error is None else limits.max_error
    room = MAX_SCRATCH_BYTES
    if limits.max_workspace_bytes is not None:
        room = min(room, limits.max_workspace_bytes)
    found = _ranked(workload, target, bound, room)
    if isinstance(found, str):
        return Declined(FAMILY, found)
    make = partial(_offer, workload, target)
    best, *others = found
    return replace(make(*best), others=lambda: [make(*other) for other in others])


def _offer(
    workload: Conv2dWorkload, target: Target, cost: float, config: Conv2dWinogradConfig
) -> Offer:
    geometry = Geometry(workload, config, target.isa.vec_lanes)
    name = convolution_name(
        "winograd",
        f"f{config.outputs}x{workload.kernel_h}_{config.stem()}",
        target.isa.name,
        workload,
    )
    return Offer(
        algorithm=FAMILY,
        name=name,
        cost=cost,
        build=partial(build_kernel, workload, config, target, name, cost),
        scratch_bytes=geometry.scratch_elements * 4,
        error=error_factor(geometry),
        config=f"f{config.outputs}x{workload.kernel_h}_{config.stem()}",
    )


def _refusal(workload: Conv2dWorkload, target: Target, input_layout: str) -> str:
    w = workload
    if target.isa.name not in REGISTER_TILES:
        return f"{target.isa.name} has no vectors, and multiplies as fast as it adds"
    if w.kernel_h != w.kernel_w or w.kernel_h not in TILE_OUTPUTS:
        return f"the kernel is {w.kernel_h}x{w.kernel_w}, not 3x3 or 5x5"
    if (w.stride_h, w.stride_w, w.dilation_h, w.dilation_w) != (1, 1, 1, 1):
        return "strides and dilations leave nothing to share between outputs"
    if w.groups != 1:
        return f"{w.groups} groups"
    if input_layout != "blocked":
        return "reads blocked activations only"
    if w.epilogue.refusal:
        return w.epilogue.refusal
    if w.out_h < 1 or w.out_w < 1:
        return "the output is empty"
    return ""


def register_tiles(target: Target) -> dict[int, int]:
    """Largest ``tile_t`` for each ``tile_oc``."""
    return STREAMED_TILES if mk.simd_of(target).streams else REGISTER_TILES[target.isa.name]


def get_configs(
    workload: Conv2dWorkload, target: Target, max_error: float
) -> Iterator[Conv2dWinogradConfig]:
    """Configurations that are worth an estimate, all within ``max_error``."""
    for outputs in TILE_OUTPUTS[workload.kernel_h]:
        tiles = math.ceil(workload.out_h / outputs), math.ceil(workload.out_w / outputs)
        for rows, cols in _block_shapes(*tiles):
            remainder = workload.out_h % outputs > 0
            # Among several blocks one with a short row is one more kind of block.
            for short_rows in sorted({remainder, remainder and rows == tiles[0]}):
                plain = Conv2dWinogradConfig(
                    outputs=outputs,
                    tile_oc=1,
                    tile_t=1,
                    block_rows=rows,
                    block_cols=cols,
                    short_rows=short_rows,
                    short_cols=workload.out_w % outputs > 0,
                    chunk_oc=1,
                    chunk_ic=workload.in_channels,
                    group_oc=1,
                )
                chunk_ic = _chunk_ic(workload, plain, target, max_error)
                if chunk_ic:
                    yield from _with_tiles(workload, replace(plain, chunk_ic=chunk_ic), target)


def _block_shapes(rows: int, cols: int) -> list[tuple[int, int]]:
    """Blocks of about :data:`BLOCK_TILES` tiles, as wide as the image if they can be."""
    shapes = []
    for tiles in BLOCK_TILES:
        width = math.ceil(cols / max(1, round(cols / tiles / 1.25)))
        height = min(rows, max(1, round(tiles / width)))
        height = math.ceil(rows / math.ceil(rows / height))
        if (height, width) not in shapes:
            shapes.append((height, width))
    return shapes


def _chunk_ic(
    workload: Conv2dWorkload, config: Conv2dWinogradConfig, target: Target, max_error: float
) -> int:
    """The most input channels of a pass that keep the error; 0: none do."""
    lanes, channels = target.isa.vec_lanes, workload.in_channels
    blocks = channels // lanes
    chunks = [channels]
    if channels % lanes == 0:
        shares = [blocks // n * lanes for n in range(2, blocks + 1) if blocks % n == 0]
        chunks += [share for share in shares if share >= MIN_CHUNK_IC]
    for chunk in chunks:
        geometry = Geometry(workload, replace(config, chunk_ic=chunk), lanes)
        if error_factor(geometry) <= max_error:
            return chunk
    return 0


def _with_tiles(
    workload: Conv2dWorkload, config: Conv2dWinogradConfig, target: Target
) -> Iterator[Conv2dWinogradConfig]:
    """Register tiles, chunks of output channels that fit a quarter of level 2, and tasks."""
    lanes = target.isa.vec_lanes
    out_blocks = math.ceil(workload.out_channels / lanes)
    points = config.outputs + workload.kernel_h - 1
    weights = points * points * workload.in_channels * out_blocks * lanes * 4
    far = target.arch == "x86_64" and weights > target.l2_bytes // 2
    for tile_oc, tile_t in register_tiles(target).items():
        if tile_oc > out_blocks:
            continue
        tiles = config.block_rows * config.block_cols
        room = target.l2_bytes // 8 // (points * points * tiles * tile_oc * lanes * 4)
        oc_tiles = out_blocks // tile_oc
        many = TASKS_PER_CORE * target.num_cores
        for groups in sorted({min(oc_tiles, count) for count in (1, 2, target.num_cores, many)}):
            share = math.ceil(oc_tiles / groups)
            chunk_oc = math.ceil(share / math.ceil(share / max(1, room)))
            found = replace(
                config,
                tile_oc=tile_oc,
                tile_t=tile_t,
                chunk_oc=chunk_oc,
                group_oc=math.ceil(share / chunk_oc),
                prefetch_bytes=PREFETCH_BYTES if far else 0,
            )
            if groups < many:
                yield found
            if groups > 1:
                yield replace(found, group_ic=_group_ic(workload, config, target))


def _group_ic(workload: Conv2dWorkload, config: Conv2dWinogradConfig, target: Target) -> int:
    """Blocks of input channels of a task that transforms them for all."""
    in_blocks = math.ceil(workload.in_channels / target.isa.vec_lanes)
    rows = math.ceil(workload.out_h / config.outputs / config.block_rows)
    cols = math.ceil(workload.out_w / config.outputs / config.block_cols)
    tasks = math.ceil(TASKS_PER_CORE * target.num_cores / (workload.batch * rows * cols))
    return math.ceil(in_blocks / min(in_blocks, tasks))


@lru_cache(maxsize=4096)
def _ranked(
    workload: Conv2dWorkload, target: Target, max_error: float, max_scratch: int
) -> tuple[tuple[float, Conv2dWinogradConfig], ...] | str:
    """Estimated cycles and configurations, the best score first, or why there is none.

    Behind the best one come the best of each ``F(m, r)``: neighbours differ by little.
    """
    lanes = target.isa.vec_lanes
    scored: list[tuple[float, float, Conv2dWinogradConfig]] = []
    within_error = False
    for config in get_configs(workload, target, max_error):
        within_error = True
        geometry = Geometry(workload, config, lanes)
        if max(geometry.scratch_elements, geometry.shared_elements) * 4 > max_scratch:
            continue
        found = estimate(geometry, target)
        scored.append((found.score, found.cycles, config))
    if scored:
        scored.sort(key=lambda entry: entry[0])
        first = {config.outputs: config for _, _, config in reversed(scored)}
        scored.sort(key=lambda entry: entry[2] != first[entry[2].outputs])
        return tuple(dict.fromkeys((cycles, config) for _, cycles, config in scored))
    if not within_error:
        return f"no tile keeps the error within {max_error:g} times the direct convolution's"
    return f"{max_scratch} bytes of scratch memory are too few"


def _filter_matrix(transform: AxisTransform) -> npt.NDArray[np.float64]:
    return np.array([[float(value) for value in row] for row in transform.filter_matrix])


def pack_weights(
    weights: npt.NDArray[np.float32], geometry: Geometry, head: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    """Transforms ``OIHW`` weights in float64 and packs them in the order of use, as one vector.

    After the transforms' coefficients, for each chunk of output channels: position, tile of output
    channels, input channel, output channel; then the tail's. Missing output channels are 0.
    """
    c, lanes = geometry.config, geometry.lanes
    outs, channels = weights.shape[:2]
    transformed = np.einsum(
        "ak,ockl,bl->aboc",
        _filter_matrix(geometry.rows.transform),
        weights.astype(np.float64),
        _filter_matrix(geometry.cols.transform),
        optimize=True,
    )
    positions = geometry.positions
    padded = np.zeros((positions, geometry.out_blocks * lanes, channels), np.float32)
    padded[:, :outs] = transformed.reshape(positions, outs, channels)
    parts = [np.array(head, np.float32)]
    tile = c.tile_oc * lanes
    whole = geometry.whole_oc_tiles
    for first in range(0, whole, c.chunk_oc):
        count = min(c.chunk_oc, whole - first)
        chunk = padded[:, first * tile : (first + count) * tile]
        parts.append(chunk.reshape(positions, count, tile, channels).swapaxes(2, 3).ravel())
    parts.append(padded[:, whole * tile :].swapaxes(1, 2).ravel())
    parts.append(np.zeros(c.prefetch_bytes // 4, np.float32))
    return np.ascontiguousarray(np.concatenate(parts))


def _pair(geometry: Geometry, target: Target) -> int:
    """Tiles that a turn of a transform takes.

    AArch64 loads and stores two vectors at a time; two tiles of many points do not fit registers.
    """
    return 2 if target.isa.name == "neon" and geometry.rows.transform.points <= PAIR_POINTS else 1


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dWorkload, config: Conv2dWinogradConfig, target: Target, name: str, cost: float
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b and r where there are, scratch, y."""
    lanes, simd = target.isa.vec_lanes, mk.simd_of(target)
    geometry = Geometry(workload, config, lanes)
    constants = transform_constants(geometry, simd)
    head = tuple(constants.table) + (0.0,) * (constants.elements - len(constants.table))
    tile = f"F({config.outputs},{workload.kernel_h})"
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=emit_kernel(name, geometry, simd, pair=_pair(geometry, target)),
        pack_weights=partial(pack_weights, geometry=geometry, head=head),
        pack_bias=partial(pack_channels, lanes=lanes) if workload.epilogue.bias else None,
        scratch_bytes=geometry.scratch_elements * 4,
        cost=cost,
        reason=f"Winograd {tile}, tile of {config.tile_oc}x{config.tile_t} vectors, "
        f"error {error_factor(geometry):.1f} times the direct convolution's at most",
    )
