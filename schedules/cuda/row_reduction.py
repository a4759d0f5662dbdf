"""Long reductions: threads of a block share each row (means, norms, softmax, gemv)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm.s_tir import dlight

from edgewright.schedules.cuda.finite_extremes import FINITE_EXTREMES_ATTR, with_finite_extremes
from edgewright.schedules.cuda.moves import (
    inline_all,
    open_schedule,
    own_consumer,
    reduced_elems,
    spatial_elems,
    sums_products,
    tvm_target,
)
from edgewright.spec.gpu import Gpu

__all__ = ["MANY_ROWS", "MIN_TERMS", "RowConfig", "choose_row", "schedule_row_reduction"]

#: Rows of fewer terms are faster summed by one thread each: a warp's exchange takes five steps.
MIN_TERMS = 32
#: Sums of products of so many rows (grouped convolutions) fill a GPU with one thread each, and
#: neighbouring threads then read neighbouring elements.
MANY_ROWS = 8192


@dataclass(frozen=True)
class RowConfig:
    """Numbers of the launch.

    Attributes:
        threads: that share a row; a power of two, at least a warp.
        rows: of a block.
    """

    threads: int
    rows: int


def choose_row(terms: int) -> RowConfig:
    """Threads for a row of so many terms: at least four terms for each, if there are as many."""
    for threads in (256, 128, 64):
        if terms >= 4 * threads:
            return RowConfig(threads, 1)
    return RowConfig(32, 4)


def schedule_row_reduction(func: Any, gpu: Gpu) -> Any | str:
    """Share each row among threads, where every reduction of the function is long enough.

    One reduction, and what follows it element by element. Several in a row, as in softmax, are
    scheduled by TVM's ``GeneralReduction``, which keeps the rows between them in shared memory.

    Before::

        for row, k: r[row] = sum over k of a[row, k]
        for row:    y[row] = relu(r[row])

    After::

        for row_block in blockIdx.x:
            for row in threadIdx.y, k_inner in threadIdx.x:
                for k_outer: partial += a[row, k_outer * threads + k_inner]
                r[row] = the sum of the partial sums of all k_inner
                if k_inner == 0: y[row] = relu(r[row])
    """
    opened = open_schedule(func)
    if opened is None:
        return "its statements are not blocks over loops"
    reductions = [block for block in opened[1] if block.is_reduction()]
    if not reductions:
        return "it reduces nothing"
    shortest = min(reduced_elems(block) for block in reductions)
    if shortest < MIN_TERMS:
        return f"a sum of {shortest} terms is one thread's work"
    for block in reductions:
        rows = spatial_elems(block)
        if rows >= MANY_ROWS and sums_products(opened[0].get(block.block_rv)):
            return f"{rows} sums of products are work enough for a thread each"
    finite = with_finite_extremes(func)
    if isinstance(finite, str):
        return finite
    scheduled = _one_reduction(finite) if len(reductions) == 1 else _several(finite, gpu)
    if scheduled is None:
        return "its reductions and what follows them have other rows"
    return scheduled.with_attr(FINITE_EXTREMES_ATTR, 1)


def _one_reduction(func: Any) -> Any | None:
    opened = open_schedule(func)
    assert opened is not None
    schedule, blocks = opened
    left = inline_all(schedule, blocks)
    if not left or not left[0].is_reduction() or len(left) > 2:
        return None
    block = left[0]
    if len(schedule.get(block.block_rv).writes) != 1:
        return None
    if len(left) == 2:
        follower = own_consumer(schedule, left, 0)
        if follower is None:
            return None
        behind = follower.block_rv
        schedule.set_scope(block.block_rv, 0, "local")
    else:
        behind = schedule.cache_write(block.block_rv, 0, "local")
    config = choose_row(reduced_elems(block))
    loops = schedule.get_loops(block.block_rv)
    kinds = block.dom_kind()
    spatial = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == "S"]
    reduced = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == "R"]
    if not spatial:
        spatial = [schedule.add_unit_loop(reduced[0])]
    schedule.reorder(*spatial, *reduced)
    rows = config.rows if spatial_elems(block) >= config.rows else 1
    row_block, row = schedule.split(schedule.fuse(*spatial), [None, rows])
    _, inner = schedule.split(schedule.fuse(*reduced), [None, config.threads])
    schedule.bind(row_block, "blockIdx.x")
    schedule.bind(row, "threadIdx.y")
    schedule.bind(inner, "threadIdx.x")
    schedule.reverse_compute_at(behind, row, preserve_unit_loops=True)
    return schedule.mod["main"]


def _several(func: Any, gpu: Gpu) -> Any | None:
    try:
        answer = dlight.gpu.GeneralReduction().apply(func, tvm_target(gpu), False)
    except Exception:  # the rule gives up by errors of many classes
        return None
    if answer is None:
        return None
    return (answer[0] if isinstance(answer, list) else answer).mod["main"]
