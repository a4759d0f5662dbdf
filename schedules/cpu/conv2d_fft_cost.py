"""Cost and error of FFT configurations, on the direct convolution's scales."""

from __future__ import annotations

import math
from functools import lru_cache

from edgewright.schedules.cost import core_rates
from edgewright.schedules.cpu.conv2d_fft_config import FftGeometry
from edgewright.schedules.cpu.conv2d_winograd_cost import (
    FAR_STALLS,
    ISSUE_CYCLES,
    LOOP_INSTRUCTIONS,
    MEMORY_BYTES,
    TILE_INSTRUCTIONS,
    UNEVEN_SHARE,
    Estimate,
    tile_chunks,
)
from edgewright.schedules.cpu.fourier_programs import (
    complex_forward,
    complex_inverse,
    real_forward,
    real_inverse,
)
from edgewright.schedules.cpu.winograd_matrices import LinearProgram
from edgewright.spec.target import Target

__all__ = ["error_factor", "estimate_fft"]

#: Bytes of weights that a core streams from memory in a cycle; without vectors as slowly as it
#: loads.
SCALAR_MEMORY_BYTES = 1.0
#: Weights, in bytes, beyond which the last level of cache no longer holds them, and what share of
#: the rate is left then; measured.
LAST_LEVEL_BYTES = 16 << 20
BEYOND_LAST_LEVEL = 0.4
#: Share of the shorter of products and memory that the longer one does not hide.
NOT_HIDDEN = 0.6
#: Additions of a direct sum that round as much as one level of a two-dimensional transform and its
#: inverse, by measured errors; every level doubles the values that are summed.
ROUNDINGS_PER_LEVEL = 3.0
#: The largest error of many outputs, by that of independent errors; measured.
LARGEST_ERROR = 1.7


def error_factor(geometry: FftGeometry) -> float:
    """Largest error to expect, relative to the direct convolution's largest.

    Both sums round like random walks: the direct one over all its products, this one over the input
    channels of a product and the levels of the transforms, which are unitary but for a factor and
    amplify nothing. The error is the tile's: it is spread evenly over its outputs, so that it is
    small beside the largest output, not beside each.
    """
    w = geometry.workload
    channels = 1 if geometry.depthwise else w.in_channels
    levels = math.log2(geometry.rows.points * geometry.cols.points)
    direct = channels * w.kernel_h * w.kernel_w
    return LARGEST_ERROR * math.sqrt((channels + ROUNDINGS_PER_LEVEL * levels) / direct)


def estimate_fft(geometry: FftGeometry, target: Target) -> Estimate:
    """Cycles of a kernel: transforms, products, and weights from memory."""
    g, memory = geometry, _memory(geometry, target)
    if g.depthwise:
        work = _forward(g, target) + _inverse(g, target)
        transforms, products = g.tasks * work, g.tasks * _depthwise(g, target)
    else:
        repeats = g.oc_groups if g.ic_chunks == 1 else g.oc_chunks
        work = g.in_blocks * _forward(g, target) * repeats
        work += g.out_blocks * _inverse(g, target)
        blocks = g.workload.batch * g.tile_blocks
        transforms, products = blocks * work, blocks * _products(g, target)
    turns = math.ceil(g.tasks / target.num_cores)
    # Cores share the memory, and wait for the last of them.
    uneven = turns * (1 + UNEVEN_SHARE / turns) * target.num_cores / g.tasks
    return Estimate(
        transforms + _overlapped(products, memory),
        transforms * uneven + _overlapped(products * uneven, memory * target.num_cores / 2),
        1,
    )


def _overlapped(products: float, memory: float) -> float:
    """Multiply-adds while weights stream: the longer of both, and some of the other."""
    return max(products, memory) + NOT_HIDDEN * min(products, memory)


def _memory(g: FftGeometry, target: Target) -> float:
    """Weights come from memory once; again for each block of tiles where level 2 loses them."""
    weight_bytes = g.weight_elements * 4
    rate = MEMORY_BYTES.get(target.isa.name, SCALAR_MEMORY_BYTES)
    if weight_bytes > LAST_LEVEL_BYTES:
        rate *= BEYOND_LAST_LEVEL
    if weight_bytes + g.scratch_elements * 4 > target.l2_bytes * 7 // 8:
        weight_bytes *= g.workload.batch * g.tile_blocks
    return weight_bytes / rate


def _program(program: LinearProgram, values: int, target: Target) -> float:
    """One run of a program that loads and stores ``values`` vectors in all.

    Values that registers cannot hold between the levels are stored and loaded again.
    """
    rates = core_rates(target.isa)
    wide = max(0, max(program.inputs, len(program.outputs)) - target.isa.vec_registers // 2)
    spilled = 2 * wide
    moves = 1.5 * (values + spilled) / rates.load
    return program.operations / rates.fma + moves


@lru_cache(maxsize=65536)
def _axis_cycles(
    points_h: int, points_w: int, outputs_w: int, target: Target
) -> tuple[float, float, float]:
    """A column there, a tile's rows there, a tile's rows back."""
    complex_rows = max(0, points_h // 2 - 1)
    real_rows = min(2, points_h)
    column = _program(real_forward(points_h), 2 * points_h, target)
    rows = real_rows * _program(real_forward(points_w), 2 * points_w, target)
    rows += complex_rows * _program(complex_forward(points_w), 4 * points_w, target)
    back = real_rows * _program(real_inverse(points_w, outputs_w), points_w + outputs_w, target)
    back += complex_rows * _program(
        complex_inverse(points_w, outputs_w), 2 * (points_w + outputs_w), target
    )
    return column, rows, back


def _far(g: FftGeometry, target: Target) -> float:
    """One tile's positions to or from level 2."""
    return 2 * g.positions * g.lanes * 4 / core_rates(target.isa).far_bytes


def _forward(g: FftGeometry, target: Target) -> float:
    """One channel block of a task's tiles."""
    column, rows, _ = _axis_cycles(g.rows.points, g.cols.points, g.cols.outputs, target)
    columns = min(g.cols.window(g.config.block_cols), g.cols.in_extent)
    return g.config.block_rows * columns * column + g.tiles * (rows + _far(g, target))


def _inverse(g: FftGeometry, target: Target) -> float:
    """One channel block of a task's tiles, and the epilogue."""
    _, _, back = _axis_cycles(g.rows.points, g.cols.points, g.cols.outputs, target)
    program = real_inverse(g.rows.points, g.rows.outputs)
    column = _program(program, g.rows.points + g.rows.outputs, target)
    epilogue = 1 + g.workload.epilogue.residual
    column += g.rows.outputs * epilogue / core_rates(target.isa).load
    return g.tiles * (back + g.cols.outputs * column + _far(g, target))


def _depthwise(g: FftGeometry, target: Target) -> float:
    """Products in place of one channel block."""
    rates = core_rates(target.isa)
    return g.positions * g.tiles * max(4 / rates.fma, 8 / rates.load)


def _products(g: FftGeometry, target: Target) -> float:
    """Register tiles of every position of a task's image tiles, for all output channels."""
    rates, lanes, c = core_rates(target.isa), g.lanes, g.config
    chunk = min(c.chunk_ic * lanes, g.workload.in_channels)
    slab_far = 2 * chunk * c.tile_oc * lanes * 4 > target.l1_bytes // 2
    total = 0.0
    for oc_tiles, blocks in ((g.whole_oc_tiles, c.tile_oc), (1, g.tail_blocks)):
        if not blocks or not oc_tiles:
            continue
        cycles, first = 0.0, True
        for _, count, width in tile_chunks(g.tiles, c.tile_t):
            loads = 2 * (blocks + (width / lanes if rates.by_lane else width))
            near = max(4 * blocks * width / rates.fma, loads / rates.load, rates.latency)
            others = loads / 2 * rates.by_lane + LOOP_INSTRUCTIONS
            far = 2 * blocks * lanes * 4 / rates.far_bytes
            for number in range(min(2, count)):
                times = 1 if number == 0 else count - 1
                away = far if first or slab_far else 0.0
                step = max(near, away) + others * ISSUE_CYCLES + away * FAR_STALLS
                ends = (6 * blocks * width + TILE_INSTRUCTIONS) * ISSUE_CYCLES
                cycles += times * (g.workload.in_channels * step + g.ic_chunks * ends)
                first = False
        total += oc_tiles * cycles
    return g.positions * total
