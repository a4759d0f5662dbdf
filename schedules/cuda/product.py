"""Convolutions and matrix products as tiled products of matrices (implicit GEMM)."""

from __future__ import annotations

from typing import Any

from tvm.s_tir.dlight.gpu.matmul import (
    auto_inline_consumer_chain,
    auto_inline_producers,
    get_index_map,
)

from edgewright.schedules.cuda.moves import open_schedule, sums_products
from edgewright.schedules.cuda.product_tile import ProductTile, choose_tile
from edgewright.spec.gpu import Gpu

__all__ = ["MIN_EXTENT", "schedule_product"]

#: A product with fewer rows, columns or terms is not worth tiles of shared memory.
MIN_EXTENT = 8


def schedule_product(func: Any, gpu: Gpu) -> Any | str:
    """Tile the one product of matrices that a function holds; all else is fused into it.

    A convolution is one too: m counts output positions, n output channels, k input channels and
    taps. Its padding is computed while its input is brought to shared memory, and what follows it
    (bias, residual, activation) while its output is stored.

    Before::

        for s, m, n, k: C[s, m, n] += A[s, m, k] * B[s, n, k]

    After::

        for m_block in blockIdx.x, (s, n_block) in blockIdx.y:
            for n_thread in threadIdx.y, m_thread in threadIdx.x:
                local[:, :] = 0
                for k_outer:
                    A_shared[k, m], B_shared[k, n] = the tiles, by all threads
                    for k_inner, n_inner, m_inner: local[m, n] += A_shared[k, m] * B_shared[k, n]
                C[s, m, n] = epilogue(local[m, n])
    """
    opened = open_schedule(func)
    if opened is None:
        return "its statements are not blocks over loops"
    schedule, blocks = opened
    reductions = [block for block in blocks if block.is_reduction()]
    if len(reductions) != 1:
        return f"it has {len(reductions)} reductions, not one"
    main = reductions[0].block_rv
    if not sums_products(schedule.get(main)):
        return "its reduction is no sum of products"
    if get_index_map(schedule.get(main)) is None:
        return "its reduction is no product of two matrices"
    extents = _as_matrices(schedule, main)
    if min(extents[1:]) < MIN_EXTENT:
        return f"its extents {'x'.join(map(str, extents[1:]))} are below {MIN_EXTENT}"
    tile = choose_tile(*extents, gpu)
    _tile(schedule, main, tile)
    return schedule.mod["main"]


def _as_matrices(schedule: Any, main: Any) -> tuple[int, int, int, int]:
    """Give the reduction the iterators s, m, n, k; their extents."""
    reads = [schedule.reindex(main, ("read", index)) for index in range(2)]
    write = schedule.reindex(main, ("write", 0))
    maps = get_index_map(schedule.get(main))
    assert maps is not None
    product_map, a_map, b_map, c_map = maps
    schedule.transform_layout(reads[0], ("write", 0), a_map)
    schedule.transform_layout(reads[1], ("write", 0), b_map)
    schedule.transform_layout(write, ("read", 0), c_map)
    schedule.transform_block_layout(main, product_map)
    s, m, n, k = (int(schedule.get(loop).extent) for loop in schedule.get_loops(main))
    return s, m, n, k


def _tile(schedule: Any, main: Any, tile: ProductTile) -> None:
    schedule.pad_einsum(main, [1, tile.tile_m, tile.tile_n, tile.tile_k])
    s, m, n, k = schedule.get_loops(main)
    m_block, m_thread, m_inner = schedule.split(m, [None, tile.threads_m, tile.per_thread_m])
    n_block, n_thread, n_inner = schedule.split(n, [None, tile.threads_n, tile.per_thread_n])
    k_outer, k_inner = schedule.split(k, [None, tile.tile_k])
    schedule.reorder(s, n_block, m_block, n_thread, m_thread, k_outer, k_inner, n_inner, m_inner)
    schedule.bind(m_block, "blockIdx.x")
    schedule.bind(schedule.fuse(s, n_block), "blockIdx.y")
    schedule.bind(n_thread, "threadIdx.y")
    schedule.bind(m_thread, "threadIdx.x")
    for loop in (k_inner, n_inner, m_inner):
        schedule.unroll(loop)
    store = schedule.cache_write(main, 0, "local")
    schedule.reverse_compute_at(store, m_thread, preserve_unit_loops=True)
    # Neighbouring threads read neighbouring positions of the input, and neighbouring terms of the
    # weights: how both lie in memory.
    fetches = [
        _fetch(schedule, main, 0, k_outer, tile, contiguous="row"),
        _fetch(schedule, main, 1, k_outer, tile, contiguous="term"),
    ]
    for fetch in fetches:
        auto_inline_producers(schedule, fetch)
    auto_inline_consumer_chain(schedule, store)
    schedule.decompose_reduction(main, k_outer)


def _fetch(
    schedule: Any, main: Any, operand: int, at: Any, tile: ProductTile, *, contiguous: str
) -> Any:
    """Bring a tile of an operand to shared memory, as ``[term, row]``, by all threads."""
    block = schedule.cache_read(main, operand, "shared")
    schedule.transform_layout(block, ("write", 0), lambda s, row, term: (s, term, row))
    schedule.compute_at(block, at, preserve_unit_loops=True)
    batch, row, term = schedule.get_loops(block)[-3:]
    if contiguous == "row":
        schedule.reorder(batch, term, row)
        fused = schedule.fuse(batch, term, row)
    else:
        fused = schedule.fuse(batch, row, term)
    _, n_thread, m_thread = schedule.split(fused, [None, tile.threads_n, tile.threads_m])
    schedule.bind(n_thread, "threadIdx.y")
    schedule.bind(m_thread, "threadIdx.x")
    return block
