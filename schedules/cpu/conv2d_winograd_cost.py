"""Cost and error of Winograd configurations, on the direct convolution's scales."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from edgewright.schedules.cost import CoreRates, core_rates
from edgewright.schedules.cpu.conv2d_winograd_config import Block, Geometry, position_parts
from edgewright.schedules.cpu.winograd_matrices import AxisTransform
from edgewright.schedules.microkernel import simd_of
from edgewright.schedules.streams import load_sizes
from edgewright.spec.target import Target

__all__ = ["Estimate", "error_factor", "estimate", "tile_chunks"]

#: Bytes of weights that a core streams from memory in a cycle, beside its multiply-adds.
MEMORY_BYTES = {"avx512": 15.0, "avx2": 15.0, "sse": 15.0, "neon": 8.0, "neon32": 2.0}
#: Cycles of an instruction that is no multiply-add: cores start four a cycle.
ISSUE_CYCLES = 0.25
#: Share of the time of loads from level 2 that multiply-adds do not hide.
FAR_STALLS = 0.2
#: Instructions around a turn of the innermost loop, spread over its input channels.
LOOP_INSTRUCTIONS = 0.4
#: Instructions around a register tile, besides its accumulators.
TILE_INSTRUCTIONS = 30.0
#: Cycles in which cores wait for one another between two parallel loops.
PHASE_CYCLES = 4000.0
#: Share of a task that cores wait for the last one: they never run at one speed.
UNEVEN_SHARE = 0.05
#: Share of the cycles that one register tile more must save.
VARIANT_WEIGHT = 0.004
#: Roundings of the three transforms, in additions of a direct sum.
TRANSFORM_ROUNDINGS = 16
#: The largest error of many outputs, by that of independent errors at the worst output of a tile;
#: measured. Inputs that are not negative make it larger.
LARGEST_ERROR = 1.15


@dataclass(frozen=True)
class Estimate:
    """What a configuration costs.

    Attributes:
        cycles: on one core that runs every task.
        makespan: on all cores of the target together, times their number.
        variants: register tiles that have code of their own.
    """

    cycles: float
    makespan: float
    variants: int

    @property
    def score(self) -> float:
        """What configurations are ranked by: one core and all of them weigh the same.

        More code takes longer to build and to load, for which it must be faster.
        """
        return 0.5 * (self.cycles + self.makespan) * (1.0 + VARIANT_WEIGHT * self.variants)


def tile_chunks(tiles: int, most: int) -> list[tuple[int, int, int]]:
    """Cuts ``tiles`` into nearly equal runs of at most ``most``: (first, runs, tiles of a run)."""
    count = -(-tiles // most)
    small, large = tiles // count, tiles % count
    parts = [(0, large, small + 1)] if large else []
    parts.append((large * (small + 1), count - large, small))
    return parts


def error_factor(geometry: Geometry) -> float:
    """Largest error to expect, relative to the direct convolution's largest.

    Both sums round like random walks: the direct one over all its products, this one over the
    channels of a pass, the passes and the transforms, amplified (:func:`.amplification`).
    """
    w = geometry.workload
    passes = math.ceil(w.in_channels / geometry.config.chunk_ic)
    chain = geometry.config.chunk_ic + passes + TRANSFORM_ROUNDINGS
    direct = w.in_channels * w.kernel_h * w.kernel_w
    axes = geometry.rows.transform.amplification * geometry.cols.transform.amplification
    return LARGEST_ERROR * math.sqrt(axes * chain / direct)


def estimate(geometry: Geometry, target: Target) -> Estimate:
    """Cycles of a kernel: register tiles, transforms, and weights from memory."""
    g, rates = geometry, core_rates(target.isa)
    block_cycles = 0.0
    for count, block in _blocks(g):
        work = _products(g, block, target) + _output(g, block, rates)
        work += _input(g, block, rates) * (1 if g.config.shared else g.oc_groups)
        block_cycles += count * work
    blocks = g.workload.batch * g.rows.blocks * g.cols.blocks
    memory = _memory(g, target, blocks)
    cycles = block_cycles + memory
    turns = math.ceil(g.tasks / target.num_cores)
    uneven = 1.0 + UNEVEN_SHARE / turns
    makespan = block_cycles / g.tasks * turns * uneven * target.num_cores + memory
    if g.config.shared:
        makespan += PHASE_CYCLES * target.num_cores
    return Estimate(cycles, makespan, _variants(g))


def _blocks(g: Geometry) -> Iterator[tuple[int, Block]]:
    """Kinds of blocks and how many there are; the last block of a ragged span is one more kind."""
    for rows in g.rows.spans:
        parts = [replace(rows, count=1, whole=rows.last)] if rows.ragged else []
        parts.append(replace(rows, count=rows.count - len(parts)))
        for part in parts:
            for cols in g.cols.spans:
                yield part.count * cols.count * g.workload.batch, Block(part, cols)


def _variants(g: Geometry) -> int:
    """Register tiles that have code of their own."""
    total = 0
    for block in g.blocks:
        for _, tiles in _classes(g, block):
            total += len(tile_chunks(tiles, g.config.tile_t)) * (1 + (g.tail_blocks > 0))
    return total


def _memory(g: Geometry, target: Target, blocks: int) -> float:
    """Weights come from memory once; again for each block of tiles where level 2 loses them."""
    weight_bytes = g.positions * g.workload.in_channels * g.out_blocks * g.lanes * 4
    scratch_bytes = (g.scratch_elements + g.shared_elements) * 4
    stay = weight_bytes + scratch_bytes <= target.l2_bytes * 7 // 8
    total = weight_bytes if stay else weight_bytes * blocks
    if scratch_bytes > target.l2_bytes:
        total += 2 * (scratch_bytes - target.l2_bytes) * blocks * g.oc_chunks
    return total / MEMORY_BYTES[target.isa.name]


def _classes(g: Geometry, block: Block) -> Iterator[tuple[int, int]]:
    """Positions and tiles of each class of a block."""
    for _, rows, tile_rows in position_parts(g.rows.transform, block.rows):
        for _, cols, tile_cols in position_parts(g.cols.transform, block.cols):
            yield rows * cols, tile_rows * tile_cols


def _products(g: Geometry, block: Block, target: Target) -> float:
    """Register tiles of every position of a block."""
    c = g.config
    total = 0.0
    for positions, tiles in _classes(g, block):
        for oc_tiles, blocks in ((g.whole_oc_tiles, c.tile_oc), (1, g.tail_blocks)):
            if blocks and oc_tiles:
                cycles = _position(
                    tiles, blocks, c.tile_t, c.chunk_ic, g.workload.in_channels, target
                )
                total += positions * oc_tiles * cycles
    return total


@lru_cache(maxsize=65536)
def _position(
    tiles: int, blocks: int, most: int, chunk: int, channels: int, target: Target
) -> float:
    """One position's register tiles of ``blocks`` output blocks over all tiles."""
    lanes = target.isa.vec_lanes
    slab_far = chunk * blocks * lanes * 4 > target.l1_bytes // 2
    inputs_far = tiles * chunk * 4 > target.l1_bytes // 2
    total, first = 0.0, True
    for _, count, width in tile_chunks(tiles, most):
        for number in range(min(2, count)):
            times = 1 if number == 0 else count - 1
            far = (blocks * lanes * 4 if first or slab_far else 0) + (
                width * 4 if inputs_far else 0
            )
            step = _step(blocks, width, target, far)
            ends = (2 * blocks * width + TILE_INSTRUCTIONS) * ISSUE_CYCLES
            passes = math.ceil(channels / chunk)
            again = (passes - 1) * 2 * blocks * width * ISSUE_CYCLES
            total += times * (channels * step + passes * ends + again)
            first = False
    return total


def _step(blocks: int, width: int, target: Target, far_bytes: float) -> float:
    """One input channel of a register tile."""
    rates, simd = core_rates(target.isa), simd_of(target)
    loads = blocks + (width / simd.lanes if rates.by_lane else width)
    if simd.streams:
        others = (blocks + len(load_sizes(width))) / simd.lanes + LOOP_INSTRUCTIONS
    else:
        # Two loads are one instruction on AArch64; elsewhere they are operands or start beside.
        others = loads / 2 + LOOP_INSTRUCTIONS if rates.by_lane else LOOP_INSTRUCTIONS
    far = far_bytes / rates.far_bytes
    busy = max(blocks * width / rates.fma, loads / rates.load, rates.latency, far)
    return busy + others * ISSUE_CYCLES + far * FAR_STALLS


def _pass(operations: float, loads: float, stores: float, rates: CoreRates) -> float:
    """One transform of one dimension; stores take twice a load's time."""
    return operations / rates.fma + (loads + 2 * stores) / rates.load


def _tiles(transform: AxisTransform, whole: int, short: bool, program: str) -> float:
    """Operations of a line of tiles."""
    total = whole * getattr(transform, f"{program}_program").operations
    if short:
        total += getattr(transform, f"edge_{program}_program").operations
    return float(total)


def _input(g: Geometry, block: Block, rates: CoreRates) -> float:
    """Both passes of a block's input transform, and writing its result to level 2."""
    rows, cols = g.rows.transform, g.cols.transform
    columns = g.cols.inputs(block.cols)
    elements = g.rows.inputs(block.rows) + (block.rows.tiles - 1) * (rows.taps - 1)
    operations = columns * _tiles(rows, block.rows.whole, block.rows.short, "input")
    points = rows.points * block.rows.whole + rows.edge_points * block.rows.short
    operations += points * _tiles(cols, block.cols.whole, block.cols.short, "input")
    products = sum(positions * tiles for positions, tiles in _classes(g, block))
    loads = columns * elements + points * columns
    stores = columns * points + products
    far = products * g.lanes * 4 / rates.far_bytes
    return g.in_blocks * (_pass(operations, loads, stores, rates) + far)


def _output(g: Geometry, block: Block, rates: CoreRates) -> float:
    """Both passes of a block's output transform, its epilogue, and reading from level 2."""
    w, rows, cols = g.workload, g.rows.transform, g.cols.transform
    products = sum(positions * tiles for positions, tiles in _classes(g, block))
    points = cols.points * block.cols.whole + cols.edge_points * block.cols.short
    lines = rows.outputs * block.rows.whole + rows.edge_outputs * block.rows.short
    outputs = lines * (cols.outputs * block.cols.whole + cols.edge_outputs * block.cols.short)
    operations = points * _tiles(rows, block.rows.whole, block.rows.short, "output")
    operations += lines * _tiles(cols, block.cols.whole, block.cols.short, "output")
    epilogue = w.epilogue.bias / cols.outputs + w.epilogue.residual
    operations += outputs * (epilogue + (w.epilogue.activation is not None))
    loads = products + lines * points + outputs * w.epilogue.residual
    far = products * g.lanes * 4 / rates.far_bytes
    return g.out_blocks * (_pass(operations, loads, lines * points + outputs, rates) + far)
