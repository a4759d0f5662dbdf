"""What the rules for GPUs share: reading a schedule's blocks, and inlining."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import s_tir, tirx
from tvm.s_tir.dlight.analysis import normalize_prim_func
from tvm.target import Target

from edgewright.spec.gpu import Gpu

__all__ = [
    "inline_all",
    "open_schedule",
    "own_consumer",
    "reduced_elems",
    "spatial_elems",
    "sums_products",
    "tvm_target",
]


def tvm_target(gpu: Gpu) -> Any:
    """The architecture as TVM's code generator takes it."""
    return Target(
        {
            "kind": "cuda",
            "arch": gpu.arch,
            "max_threads_per_block": gpu.max_threads,
            "max_shared_memory_per_block": gpu.max_shared_bytes,
            "thread_warp_size": gpu.warp_lanes,
        }
    )


def open_schedule(func: Any) -> tuple[Any, list[Any]] | None:
    """A schedule and its blocks, each with as many loops as iterators; None if it is no such."""
    try:
        schedule = s_tir.Schedule(func)
        blocks = normalize_prim_func(schedule)
    except Exception:  # TVM raises errors of many classes for functions that it cannot analyse
        return None
    if not blocks or any(_is_opaque(schedule, block) for block in blocks):
        return None
    return schedule, blocks


def _is_opaque(schedule: Any, block: Any) -> bool:
    """Whether a block is more than one element's computation: loops and conditions of its own."""
    return not isinstance(schedule.get(block.block_rv).body, tirx.BufferStore | tirx.SeqStmt)


def inline_all(schedule: Any, blocks: list[Any]) -> list[Any]:
    """Inline every block that can be, into its consumers first; those that are left, in order."""
    left = list(blocks)
    moves: tuple[Callable[[Any], None], ...] = (
        schedule.compute_inline,
        schedule.reverse_compute_inline,
    )
    changed = True
    while changed:
        changed = False
        for move in moves:
            for block in list(left):
                if _tried(move, block.block_rv):
                    left.remove(block)
                    changed = True
    return left


def _tried(move: Callable[[Any], None], block: Any) -> bool:
    """Whether TVM let the move happen; it changes nothing when it refuses."""
    try:
        move(block)
    except Exception:  # a ScheduleError, which is no class of its own in Python
        return False
    return True


def spatial_elems(block: Any) -> int:
    """Elements that a block computes."""
    return math.prod(_extents(block, "S"))


def reduced_elems(block: Any) -> int:
    """Terms of each; 1 if it reduces nothing."""
    return math.prod(_extents(block, "R"))


def _extents(block: Any, kind: str) -> list[int]:
    return [int(item.dom) for item in block.iters if item.kind == kind]


def sums_products(block: Any) -> bool:
    """Whether a reduction's body is ``c = c + a * b``, casts aside, and begins at zero."""
    if not isinstance(block.body, tirx.BufferStore) or not isinstance(block.init, tirx.BufferStore):
        return False
    total, begin = block.body.value, block.init.value
    if not isinstance(total, tirx.Add) or not isinstance(total.b, tirx.Mul):
        return False
    return isinstance(begin, tirx.FloatImm | tirx.IntImm) and begin.value == 0


def own_consumer(schedule: Any, blocks: list[Any], index: int) -> Any | None:
    """The block behind a reduction that alone reads it, element by element in the same order.

    Of one that reads in another order TVM's ``reverse_compute_at`` forgets the bound where the
    elements do not fill the last block, and threads beyond it overwrite others' results.
    """
    if index + 1 == len(blocks) or not blocks[index + 1].is_injective():
        return None
    producer, following = blocks[index], blocks[index + 1]
    consumers = schedule.get_consumers(producer.block_rv)
    if [schedule.get(consumer).name_hint for consumer in consumers] != [following.name]:
        return None
    writer, reader = schedule.get(producer.block_rv), schedule.get(following.block_rv)
    if len(writer.writes) != 1:
        return None
    written = writer.writes[0]
    reads = [region for region in reader.reads if region.source.same_as(written.source)]
    in_order = (
        len(reads) == 1 and _visits_in_order(writer, written) and _visits_in_order(reader, reads[0])
    )
    return following if in_order else None


def _visits_in_order(block: Any, region: Any) -> bool:
    """Whether a block's spatial iterators are, one by one, the indices of a buffer it accesses."""
    wanted = [
        (iterator.var, int(iterator.dom.extent))
        for iterator in block.iter_vars
        if iterator.iter_type == tirx.IterVar.DataPar and int(iterator.dom.extent) > 1
    ]
    extents = [int(extent) for extent in region.source.shape]
    indices = [
        (each.min, extent)
        for each, extent in zip(region.region, extents, strict=True)
        if extent > 1
    ]
    return len(wanted) == len(indices) and all(
        index.same_as(var) and have == extent
        for (var, extent), (index, have) in zip(wanted, indices, strict=True)
    )
