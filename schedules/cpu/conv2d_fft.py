"""Convolution of large kernels by fast Fourier transforms, on blocked activations.

Algorithm: overlap-save in both directions (A. Oppenheim and R. Schafer, "Discrete-Time Signal
Processing", chapter 8). A tile of ``T x T`` inputs is transformed once for each input channel;
there the convolution is a product, so that the sums over input channels are a complex matrix
product for each of about ``T² / 2`` positions, whatever the kernel's size. A tile gives
``(T - k + 1)²`` outputs.

Schedule (``c`` lanes, register tile of ``tile_oc`` channel blocks x ``tile_t`` image tiles)::

    before                          after
    for n, o, oh, ow:               parallel task: (n, block of image tiles, output channels)
      for i, kh, kw:                  v[p, i, t] = transform of x     for each channel block
        y += x * w                    for chunk of output channels, of input channels:
                                        for position p, oc tile, run of image tiles:
                                          tile = 0
                                          for i: tile += v[p, i, t] * w[p, i]
                                          m[p, o, t] = tile, or += tile
                                        y = activation(transform back of m + bias + residual)

``v`` and ``m`` lie in the thread's scratch memory. The weights are transformed at compile time in
float64 and take ``T² / k²`` times the memory, from which they stream: that, not arithmetic, is what
an FFT convolution of many channels costs. Depthwise convolutions multiply vector by vector.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TASKS_PER_CORE
from edgewright.schedules.cpu.blocked import pack_channels
from edgewright.schedules.cpu.conv2d_fft_config import (
    POINTS,
    Conv2dFftConfig,
    FftAxis,
    FftGeometry,
    axis_of,
)
from edgewright.schedules.cpu.conv2d_fft_cost import error_factor, estimate_fft
from edgewright.schedules.cpu.conv2d_fft_emit import FftEmitter, transform_constants
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.names import convolution_name
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["Conv2dFftConfig", "get_configs", "offer"]

FAMILY = "fft"
#: Largest error, relative to the direct convolution's, where the user sets no limit.
MAX_ERROR_FACTOR = 4.0
#: Scratch memory of one thread, at most.
MAX_SCRATCH_BYTES = 1 << 20
#: Fewest taps of a kernel, and most elements of transformed weights for each tap, unless asked for.
#: Up to 5x5 Winograd saves as much with half the weights, and builds in a tenth of the time.
MIN_TAPS = 26
MAX_WEIGHT_GROWTH = 8.0
#: Image tiles of a task, at most: more weigh on the scratch memory and save little.
MAX_BLOCK_TILES = 48
#: Transforms of an axis that are tried: the points of all its tiles, by the least possible.
MOST_POINTS = 3.0
#: How far ahead weights are asked for where the instruction is worth its slot.
PREFETCH_BYTES = 8192
#: Largest ``tile_t`` for each ``tile_oc``, by instruction set, that LLVM keeps in registers.
REGISTER_TILES = {
    "avx512": {1: 12, 2: 6, 3: 3},
    "avx2": {1: 5, 2: 2},
    "sse": {1: 4, 2: 2},
    "neon": {1: 6, 2: 4, 3: 2},
    "neon32": {1: 3, 2: 1},
    "vfp": {1: 1},
    "softfp": {1: 1},
}


def offer(
    workload: Conv2dWorkload, target: Target, limits: Limits, input_layout: str
) -> Offer | Declined:
    """The best FFT kernel for a workload, or why there is none.

    Args:
        workload: the convolution: any kernel and dilation, no stride, no groups but depthwise.
        target: the core.
        limits: ``max_error`` bounds :attr:`.Offer.error`, a factor of the direct convolution's
            error (4 where it is None); ``max_workspace_bytes`` the scratch memory (1 MiB). Small
            kernels and weights that grow beyond measure are offered only if ``algorithm`` is this.
        input_layout: must be ``blocked`` (``NCHW{c}c``).
    """
    forced = limits.algorithm == FAMILY
    refusal = _refusal(workload, input_layout, forced)
    if refusal:
        return Declined(FAMILY, refusal)
    growth = math.inf if forced else MAX_WEIGHT_GROWTH
    room = MAX_SCRATCH_BYTES
    if limits.max_workspace_bytes is not None:
        room = min(room, limits.max_workspace_bytes)
    bound = MAX_ERROR_FACTOR if limits.max_error is None else limits.max_error
    found = _ranked(workload, target, room, bound, growth)
    if isinstance(found, str):
        return Declined(FAMILY, found)
    make = partial(_offer, workload, target)
    best, *others = found
    return replace(make(*best), others=lambda: [make(*other) for other in others])


def _offer(workload: Conv2dWorkload, target: Target, cost: float, config: Conv2dFftConfig) -> Offer:
    geometry = FftGeometry(workload, config, target.isa.vec_lanes)
    name = convolution_name("fft", config.stem(), target.isa.name, workload)
    return Offer(
        algorithm=FAMILY,
        name=name,
        cost=cost,
        build=partial(build_kernel, workload, config, target, name, cost),
        scratch_bytes=geometry.scratch_elements * 4,
        error=error_factor(geometry),
        config=config.stem(),
    )


def _refusal(workload: Conv2dWorkload, input_layout: str, forced: bool) -> str:
    w = workload
    taps = w.kernel_h * w.kernel_w
    if (w.stride_h, w.stride_w) != (1, 1):
        return f"stride {w.stride_h}x{w.stride_w}: a transform computes every output"
    if w.groups != 1 and not (w.is_depthwise and w.in_channels == w.out_channels):
        return f"{w.groups} groups"
    if taps == 1:
        return "the kernel is 1x1: there is nothing to transform"
    if input_layout != "blocked":
        return "reads blocked activations only"
    if w.epilogue.refusal:
        return w.epilogue.refusal
    if w.out_h < 1 or w.out_w < 1:
        return "the output is empty"
    if taps < MIN_TAPS and not forced:
        return f"{taps} taps are too few: the transformed weights are several times as many"
    return ""


def _sizes(workload: Conv2dWorkload, *, vertical: bool) -> list[FftAxis]:
    """Transforms of an axis that hold its kernel and do not repeat too much."""
    if (workload.kernel_h if vertical else workload.kernel_w) == 1:
        sizes: tuple[int, ...] = (1,)
    else:
        sizes = tuple(size for size in POINTS if size > 1)
    axes = [axis_of(workload, size, vertical=vertical) for size in sizes]
    fitting = [axis for axis in axes if axis is not None]
    # What is transformed counts, the last tile's missing outputs too. Smaller transforms have fewer
    # weights, and more tiles that share them.
    least = min((axis.points * axis.tiles for axis in fitting), default=0)
    return [axis for axis in fitting if axis.points * axis.tiles <= MOST_POINTS * least]


def get_configs(
    workload: Conv2dWorkload, target: Target, max_scratch: int
) -> Iterator[Conv2dFftConfig]:
    """Configurations that are worth an estimate, all within ``max_scratch`` bytes."""
    for rows in _sizes(workload, vertical=True):
        for cols in _sizes(workload, vertical=False):
            for block_rows, block_cols in _block_shapes(rows.tiles, cols.tiles):
                for tile_oc, tile_t in REGISTER_TILES[target.isa.name].items():
                    plain = Conv2dFftConfig(
                        points_h=rows.points,
                        points_w=cols.points,
                        tile_oc=tile_oc,
                        tile_t=tile_t,
                        block_rows=block_rows,
                        block_cols=block_cols,
                        chunk_ic=1,
                        chunk_oc=1,
                        group_oc=1,
                    )
                    yield from _with_chunks(workload, plain, target, max_scratch)


def _block_shapes(rows: int, cols: int) -> Iterator[tuple[int, int]]:
    """Divisors of an image's tiles: parts of one row of tiles, or whole rows."""
    for width in range(1, cols + 1):
        if cols % width == 0 and width <= MAX_BLOCK_TILES:
            yield 1, width
    for height in range(2, rows + 1):
        if rows % height == 0 and height * cols <= MAX_BLOCK_TILES:
            yield height, cols


def _with_chunks(
    workload: Conv2dWorkload, plain: Conv2dFftConfig, target: Target, max_scratch: int
) -> Iterator[Conv2dFftConfig]:
    """Chunks of channels: all inputs at a time, or as few as leave room for more outputs."""
    geometry = FftGeometry(workload, plain, target.isa.vec_lanes)
    if geometry.depthwise:
        if plain.tile_oc == 1 and geometry.scratch_elements * 4 <= max_scratch:
            yield plain
        return
    if plain.tile_oc > geometry.out_blocks:
        return
    block_bytes = 2 * geometry.positions * geometry.tiles * geometry.lanes * 4
    room = (max_scratch - geometry.strip_elements * 4) // block_bytes
    far = target.arch == "x86_64" and geometry.weight_elements * 4 > target.l2_bytes // 2
    oc_tiles = geometry.out_blocks // plain.tile_oc
    tail = geometry.tail_blocks
    for chunk_ic in sorted({geometry.in_blocks, math.ceil(geometry.in_blocks / 2), 1}):
        fitting = min(oc_tiles, (room - chunk_ic - tail) // plain.tile_oc)
        if fitting < 1:
            continue
        for groups in sorted({1, min(oc_tiles, target.num_cores * TASKS_PER_CORE)}):
            share = math.ceil(oc_tiles / groups)
            chunk_oc = math.ceil(share / math.ceil(share / fitting))
            yield replace(
                plain,
                chunk_ic=chunk_ic,
                chunk_oc=chunk_oc,
                group_oc=math.ceil(share / chunk_oc),
                prefetch_bytes=PREFETCH_BYTES if far else 0,
            )


@lru_cache(maxsize=4096)
def _ranked(
    workload: Conv2dWorkload, target: Target, max_scratch: int, max_error: float, growth: float
) -> tuple[tuple[float, Conv2dFftConfig], ...] | str:
    """Estimated cycles and configurations, the best score first, or why there is none.

    Behind the best one come the best of each size of the transforms: neighbours differ by little.
    """
    if not _sizes(workload, vertical=True) or not _sizes(workload, vertical=False):
        return f"the kernel is larger than the largest transform, {POINTS[-1]}x{POINTS[-1]}"
    best: dict[tuple[int, int], tuple[float, float, Conv2dFftConfig]] = {}
    obstacle = f"{max_scratch} bytes of scratch memory are too few"
    for config in get_configs(workload, target, max_scratch):
        geometry = FftGeometry(workload, config, target.isa.vec_lanes)
        if geometry.weight_growth > growth:
            obstacle = f"the transformed weights are more than {growth:g} times as many"
            continue
        if error_factor(geometry) > max_error:
            obstacle = f"the error is above {max_error:g} times the direct convolution's"
            continue
        found = estimate_fft(geometry, target)
        points = config.points_h, config.points_w
        if points not in best or found.score < best[points][0]:
            best[points] = found.score, found.cycles, config
    if best:
        ranked = sorted(best.values(), key=lambda entry: entry[0])
        return tuple((cycles, config) for _, cycles, config in ranked)
    return obstacle


def _transformed(
    weights: npt.NDArray[np.float32], geometry: FftGeometry
) -> npt.NDArray[np.float32]:
    """``OIHW`` weights as (positions, outputs, inputs, real and imaginary part).

    The conjugate, because a convolution of networks is a correlation; divided by the tile's size,
    because the inverse transforms do not.
    """
    rows, cols = geometry.rows, geometry.cols
    kh = [k for k, place in enumerate(rows.taps) if place is not None]
    kw = [k for k, place in enumerate(cols.taps) if place is not None]
    at_h = [place for place in rows.taps if place is not None]
    at_w = [place for place in cols.taps if place is not None]
    numbers = [row * cols.points + col for row in rows.real_rows for col in range(geometry.half)]
    numbers += [
        row * cols.points + col
        for row in range(1, rows.complex_rows + 1)
        for col in range(cols.points)
    ]
    outs, channels = weights.shape[:2]
    found = np.empty((len(numbers), outs, channels, 2), np.float32)
    circular = np.zeros((channels, rows.points, cols.points))
    for out, kernel in enumerate(weights):
        if kh and kw:
            circular[:, np.array(at_h)[:, None], at_w] = kernel[:, np.array(kh)[:, None], kw]
        frequencies = np.fft.fft2(circular).reshape(channels, -1)[:, numbers].T
        scaled = np.conj(frequencies) / (rows.points * cols.points)
        found[:, out, :, 0], found[:, out, :, 1] = scaled.real, scaled.imag
    return found


def pack_weights(
    weights: npt.NDArray[np.float32], geometry: FftGeometry, head: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    """Transforms ``OIHW`` weights in float64 and packs them in the order of use, as one vector.

    After the transforms' coefficients, for each chunk of output channels and of input channels:
    position, tile of output channels, input channel, block of outputs, real and imaginary part,
    output channel; then the tail's. Depthwise: channel block, position, part, channel. Missing
    channels are 0.
    """
    c, lanes = geometry.config, geometry.lanes
    outs, channels = weights.shape[:2]
    positions, blocks = geometry.positions, geometry.out_blocks
    padded = np.zeros((positions, blocks * lanes, channels, 2), np.float32)
    padded[:, :outs] = _transformed(weights, geometry)
    split = padded.reshape(positions, blocks, lanes, channels, 2)
    parts = [np.array(head, np.float32)]
    if geometry.depthwise:
        parts.append(split[:, :, :, 0].transpose(1, 0, 3, 2).ravel())
        return np.concatenate(parts)
    whole = geometry.whole_oc_tiles
    for first in range(0, whole, c.chunk_oc):
        count = min(c.chunk_oc, whole - first)
        chunk = split[:, first * c.tile_oc : (first + count) * c.tile_oc]
        tiled = chunk.reshape(positions, count, c.tile_oc, lanes, channels, 2)
        parts += _by_input_chunk(tiled, geometry)
    parts += _by_input_chunk(split[:, None, whole * c.tile_oc :], geometry)
    parts.append(np.zeros(c.prefetch_bytes // 4, np.float32))
    return np.concatenate(parts)


def _by_input_chunk(
    weights: npt.NDArray[np.float32], geometry: FftGeometry
) -> list[npt.NDArray[np.float32]]:
    """(positions, tiles, blocks, lanes, channels, 2) by chunk of input channels, in use's order."""
    size = geometry.config.chunk_ic * geometry.lanes
    return [
        weights[:, :, :, :, first : first + size].transpose(0, 1, 4, 2, 5, 3).ravel()
        for first in range(0, weights.shape[4], size)
    ]


@lru_cache(maxsize=1024)
def build_kernel(
    workload: Conv2dWorkload, config: Conv2dFftConfig, target: Target, name: str, cost: float
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b and r where there are, scratch, y."""
    lanes, simd = target.isa.vec_lanes, mk.simd_of(target)
    geometry = FftGeometry(workload, config, lanes)
    constants = transform_constants(geometry, simd)
    head = tuple(constants.table) + (0.0,) * (constants.elements - len(constants.table))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, FftEmitter(geometry, simd).emit),
        pack_weights=partial(pack_weights, geometry=geometry, head=head),
        pack_bias=partial(pack_channels, lanes=lanes) if workload.epilogue.bias else None,
        scratch_bytes=geometry.scratch_elements * 4,
        cost=cost,
        reason=f"FFT of {config.points_h}x{config.points_w} points, tile of "
        f"{config.tile_oc}x{config.tile_t} complex vectors, "
        f"error {error_factor(geometry):.1f} times the direct convolution's at most",
    )
