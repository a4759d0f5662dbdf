"""One thread for each element: elementwise operators, windows, and every short reduction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgewright.schedules.cuda.moves import inline_all, open_schedule, own_consumer, spatial_elems
from edgewright.spec.gpu import Gpu

__all__ = ["Config", "schedule_thread_per_element"]


@dataclass(frozen=True)
class Config:
    """Numbers of the launch.

    Attributes:
        threads: of one block.
        few_threads: of one block where the elements would fill less than ``fill`` blocks.
        fill: blocks that keep the multiprocessors of a small GPU busy.
    """

    threads: int = 256
    few_threads: int = 64
    fill: int = 32

    def threads_for(self, elems: int) -> int:
        """Threads of a block that shares ``elems`` elements with others; never more than those.

        TVM's ``reverse_compute_at`` forgets the bound of a store of one element: every thread of
        the block would write its own, uninitialised sum there.
        """
        threads = self.threads if elems >= self.threads * self.fill else self.few_threads
        return min(threads, elems)


def schedule_thread_per_element(func: Any, gpu: Gpu, config: Config = Config()) -> Any | str:
    """Inline what can be, then give every element of what is left to a thread.

    Before::

        for s, k: r[s] = sum over k of a[s, k]
        for s:    y[s] = relu(r[s])

    After::

        for block in blockIdx.x:
            for thread in threadIdx.x:
                if s < elems:
                    r_local = 0
                    for k: r_local += a[s, k]
                    y[s] = relu(r_local)
    """
    opened = open_schedule(func)
    if opened is None:
        return "its statements are not blocks over loops"
    schedule, blocks = opened
    for block in blocks:
        if not set(block.dom_kind()) <= {"S", "R"}:
            return f"the block {block.name} has iterators that are neither spatial nor reduced"
    left = inline_all(schedule, blocks)
    fused: set[str] = set()
    for index, block in enumerate(left):
        if block.name in fused:
            continue
        if block.is_injective():
            _bind(schedule, block, config)
        else:
            consumer = own_consumer(schedule, left, index)
            if _reduce_in_register(schedule, block, consumer, config) and consumer is not None:
                fused.add(consumer.name)
    return schedule.mod["main"]


def _bind(schedule: Any, block: Any, config: Config) -> Any:
    """Bind the spatial loops of a block; its thread's loop."""
    loops = schedule.get_loops(block.block_rv) or [schedule.add_unit_loop(block.block_rv)]
    kinds = block.dom_kind() or "S"
    spatial = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == "S"]
    reduced = [loop for loop, kind in zip(loops, kinds, strict=True) if kind != "S"]
    if not spatial:
        spatial = [schedule.add_unit_loop(reduced[0])]
    schedule.reorder(*spatial, *reduced)
    threads = config.threads_for(spatial_elems(block))
    outer, inner = schedule.split(schedule.fuse(*spatial), [None, threads])
    schedule.bind(outer, "blockIdx.x")
    schedule.bind(inner, "threadIdx.x")
    return inner


def _reduce_in_register(schedule: Any, block: Any, consumer: Any | None, config: Config) -> bool:
    """Sum in a register; what reads the sum runs in the same thread, or only stores it."""
    fusible = consumer is not None and len(schedule.get(block.block_rv).writes) == 1
    before = len(schedule.get(block.block_rv).writes)
    if fusible:
        assert consumer is not None
        behind = [consumer.block_rv]
        schedule.set_scope(block.block_rv, 0, "local")
    else:
        behind = [schedule.cache_write(block.block_rv, out, "local") for out in range(before)]
    thread = _bind(schedule, block, config)
    for store in behind:
        schedule.reverse_compute_at(store, thread, preserve_unit_loops=True)
    first_reduced = schedule.get_loops(block.block_rv)[2]
    schedule.decompose_reduction(block.block_rv, first_reduced)
    return fusible
