"""A first cost model: cycles of a kernel on one core, from its instruction set and its caches.

A register tile of ``rows`` x ``columns`` accumulators spends on each step (one input channel, one
tap) the largest of three times: its multiply-adds, its loads, and the latency of one multiply-add,
which every accumulator waits for. The figures rank configurations; they are no prediction of time.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgewright.spec.target import Isa, Target

__all__ = [
    "CORE_RATES",
    "PREFETCH_BYTES",
    "CoreRates",
    "TaskSplit",
    "chunks_of",
    "core_rates",
    "direct_error",
    "longest_share",
    "split_tasks",
    "step_cycles",
    "tile_fits",
    "tiles_of",
]

#: Tasks for each core that a kernel is cut into where its shape allows: idle cores take the rest.
TASKS_PER_CORE = 4
#: How far ahead of their use weights are asked for that come from beyond level 1: what a core takes
#: in while memory answers. Measured on Zen 5: 8 KiB gains 5 to 7 % of a network, 2 KiB 2 %.
PREFETCH_BYTES = 8192
#: A split with twice or half the tasks must make all cores end this much earlier to be taken.
UNUSUAL = 1.02
#: Below this many cycles a task costs more to hand out than it saves.
MIN_TASK_CYCLES = 10_000.0
#: Where steps share vectors their inputs are spread into registers of their own, which a tile of
#: more than this share of the accumulators does not leave; it takes so much longer then.
#: Measured on Zen 5: tiles of 14 accumulators reach 85 % of peak, of 20 78 %, of 28 60 %.
ROOMY, CROWDED = 0.5, 1.2
#: Cycles of branches and address arithmetic around a register tile.
TILE_CYCLES = 20.0


def direct_error(products: int) -> float:
    """Largest error of a sum of float32 products, as a share of the largest such sum.

    Each addition rounds by up to 2**-24 of the partial sum, in either direction: the errors walk at
    random. The factor was measured on 40000 sums of 9 to 25088 products (0.37 to 0.52).

    Args:
        products: multiply-accumulates of one output.
    """
    return 0.5 * 2.0**-24 * math.sqrt(products)


@dataclass(frozen=True)
class CoreRates:
    """What a core does in a cycle.

    Attributes:
        fma: vector multiply-adds started.
        load: vectors or broadcast scalars loaded from level 1.
        latency: cycles from a multiply-add's start to its result.
        far_bytes: bytes fetched from beyond level 1.
        by_lane: multiply-adds take one lane of a vector register as operand.
        max_accumulators: largest register tile without spills, in vectors.
    """

    fma: float
    load: float
    latency: float
    far_bytes: float
    by_lane: bool
    max_accumulators: int


#: Rates by instruction set: those of the best common core (Zen 5 and Sapphire Rapids, Haswell,
#: Cortex-A76, Cortex-A7, ARM11, ARM9); a slower core scales them all.
CORE_RATES = {
    "avx512": CoreRates(2.0, 1.75, 4.0, 32.0, by_lane=False, max_accumulators=28),
    "avx2": CoreRates(2.0, 2.0, 4.0, 32.0, by_lane=False, max_accumulators=12),
    "sse": CoreRates(1.0, 1.0, 6.0, 16.0, by_lane=False, max_accumulators=10),
    "neon": CoreRates(2.0, 2.0, 4.0, 16.0, by_lane=True, max_accumulators=20),
    "neon32": CoreRates(0.25, 0.5, 4.0, 4.0, by_lane=False, max_accumulators=6),
    "vfp": CoreRates(0.25, 0.25, 8.0, 2.0, by_lane=False, max_accumulators=3),
    "softfp": CoreRates(0.02, 0.25, 1.0, 2.0, by_lane=False, max_accumulators=2),
}


def tile_fits(isa: Isa, rows: int, columns: int) -> bool:
    """Whether a tile of ``rows`` x ``columns`` accumulators leaves room for its operands.

    By lane, an input vector is held for each column; two registers stay free, because LLVM unrolls
    the innermost loop for some cores (Cortex-A53) and spilled with none to spare.
    """
    rates = core_rates(isa)
    operands = rows + (columns + 2 if rates.by_lane else 1)
    accumulators = rows * columns
    fits = accumulators + operands <= isa.vec_registers
    return (fits and accumulators <= rates.max_accumulators) or accumulators == 1


def core_rates(isa: Isa) -> CoreRates:
    """The rates of an instruction set."""
    return CORE_RATES[isa.name]


def step_cycles(
    target: Target, rows: int, columns: int, *, weight_bytes_resident: int, shared_steps: int = 1
) -> float:
    """Cycles of one step of a ``rows`` x ``columns`` tile.

    Args:
        target: the core.
        rows: weight vectors loaded in a step.
        columns: inputs loaded in a step, as scalars or as lanes of vectors.
        weight_bytes_resident: bytes of weights that one tile cycles through; beyond half of
            level 1 they come from further away.
        shared_steps: steps whose products share the vectors of the last row; those spread their
            inputs by a load of their own.
    """
    rates = core_rates(target.isa)
    inputs = columns / target.isa.vec_lanes if rates.by_lane else columns
    far = 0.0
    if weight_bytes_resident > target.l1_bytes // 2:
        far = rows * target.isa.vec_lanes * 4 / rates.far_bytes
    products, weights = float(rows * columns), float(rows)
    crowded = shared_steps > 1 and products > ROOMY * rates.max_accumulators
    if shared_steps > 1:
        products = (rows - 1) * columns + columns / shared_steps
        inputs = columns * ((rows > 1) + 1 / shared_steps)
        weights = rows - 1 + 1 / shared_steps
    cycles = max(products / rates.fma, (weights + inputs) / rates.load, rates.latency, far)
    return cycles * CROWDED if crowded else cycles


def tiles_of(extent: int, tile: int) -> Iterator[tuple[int, int]]:
    """Tiles of an axis as (size, count): the full ones, then the tail."""
    if extent // tile:
        yield tile, extent // tile
    if extent % tile:
        yield extent % tile, 1


def chunks_of(extent: int, size: int) -> list[int]:
    """Sizes of the chunks of an axis, in order."""
    return [min(size, extent - start) for start in range(0, extent, size)]


def longest_share(sizes: Sequence[float], threads: int) -> float:
    """When the last thread ends: each does its own share of the tasks, then what others left.

    It follows the runtime's pool, which hands out shares of neighbouring tasks.
    """
    shares = [
        deque(sizes[len(sizes) * i // threads : len(sizes) * (i + 1) // threads])
        for i in range(threads)
    ]
    clock = [(0.0, thread) for thread in range(threads)]
    while any(shares):
        now, thread = heapq.heappop(clock)
        others = (shares[(thread + i) % threads] for i in range(threads))
        task = next(share for share in others if share).popleft()
        heapq.heappush(clock, (now + task, thread))
    return max(now for now, _ in clock)


@dataclass(frozen=True)
class TaskSplit:
    """How work is cut: ``chunks`` pieces of ``size`` units each, the last one maybe shorter."""

    size: int
    chunks: int


def split_tasks(target: Target, *, units: int, outer: int, cycles: float) -> TaskSplit:
    """Cuts ``units`` so that ``outer * chunks`` tasks keep every core busy without being tiny.

    Of the numbers of tasks near ``TASKS_PER_CORE`` a core, it takes the one with which all cores
    end at the same time: 7 equal tasks keep two cores busy for the time of 8.

    Args:
        target: says how many cores there are.
        units: rows or tiles that may be cut apart.
        outer: tasks there are already, for other reasons.
        cycles: the whole kernel's estimated cycles.
    """
    outer = max(1, outer)
    affordable = max(1, int(cycles / MIN_TASK_CYCLES / outer))
    most = max(1, min(units, affordable))
    wanted = min(most, math.ceil(TASKS_PER_CORE * target.num_cores / outer))

    def score(split: TaskSplit) -> float:
        turns = math.ceil(outer * split.chunks / target.num_cores)
        return turns * split.size * math.pow(UNUSUAL, abs(math.log2(split.chunks / wanted)))

    sizes = sorted({math.ceil(units / chunks) for chunks in range(1, min(most, 2 * wanted) + 1)})
    return min((TaskSplit(size, math.ceil(units / size)) for size in sizes), key=score)
