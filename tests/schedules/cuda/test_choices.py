"""Tiles of products and threads of rows: the choice, and what every candidate must keep."""

from __future__ import annotations

import pytest

from edgewright.schedules.cuda.product_tile import TILES, ProductTile, choose_tile
from edgewright.schedules.cuda.row_reduction import choose_row
from edgewright.schedules.cuda.thread_per_element import Config
from edgewright.spec.gpu import Gpu

ORIN, HOPPER = Gpu("sm_87"), Gpu("sm_90")


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_every_tile_fits_a_block(tile: ProductTile) -> None:
    assert tile.threads % ORIN.warp_lanes == 0 and tile.threads <= ORIN.max_threads
    assert tile.shared_bytes <= ORIN.max_shared_bytes
    accumulators = tile.per_thread_m * tile.per_thread_n
    assert accumulators + tile.per_thread_m + tile.per_thread_n <= 100
    # Each thread brings a whole number of elements of either operand.
    assert tile.tile_m * tile.tile_k % tile.threads == 0
    assert tile.tile_n * tile.tile_k % tile.threads == 0


def test_names_tell_tiles_apart() -> None:
    assert len({tile.name for tile in TILES}) == len(TILES)


def test_large_products_get_large_tiles_and_small_ones_small() -> None:
    large = choose_tile(1, 4096, 4096, 1024, HOPPER)
    small = choose_tile(1, 49, 64, 512, HOPPER)
    assert large.tile_m * large.tile_n > small.tile_m * small.tile_n


def test_many_multiprocessors_want_many_blocks() -> None:
    on_orin, on_hopper = (choose_tile(1, 784, 128, 512, gpu) for gpu in (ORIN, HOPPER))
    assert on_hopper.tile_m * on_hopper.tile_n <= on_orin.tile_m * on_orin.tile_n


@pytest.mark.parametrize(
    ("terms", "threads", "rows"),
    [(32, 32, 4), (255, 32, 4), (256, 64, 1), (512, 128, 1), (5000, 256, 1)],
)
def test_threads_of_a_row(terms: int, threads: int, rows: int) -> None:
    chosen = choose_row(terms)
    assert (chosen.threads, chosen.rows) == (threads, rows)


@pytest.mark.parametrize(("elems", "threads"), [(1, 1), (10, 10), (100, 64), (8192, 256)])
def test_threads_of_elements(elems: int, threads: int) -> None:
    assert Config().threads_for(elems) == threads
