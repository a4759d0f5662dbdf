"""Tiles of a product of matrices on a GPU, and the choice among them by a cost model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgewright.spec.gpu import Gpu

__all__ = ["TILES", "ProductTile", "choose_tile"]

#: Multiprocessors by architecture, of the smallest GPU of a Jetson and the usual one elsewhere:
#: https://developer.nvidia.com/embedded/jetson-modules, NVIDIA's data sheets. What is not here
#: counts as ``_USUAL_MULTIPROCESSORS``.
_MULTIPROCESSORS = {72: 6, 80: 108, 87: 8, 90: 132, 100: 148}
_USUAL_MULTIPROCESSORS = 40

#: Multiply-adds that a thread must have for each number it brings to shared memory before the
#: arithmetic, and not the traffic, is what takes the time.
_BALANCED_INTENSITY = 16.0
#: Threads of a multiprocessor below which its arithmetic units wait for memory.
_ENOUGH_THREADS = 512


@dataclass(frozen=True)
class ProductTile:
    """Numbers of the tiling ``C[m, n] = sum over k of A[m, k] * B[n, k]``.

    Attributes:
        threads_m: threads of a block along m.
        threads_n: threads of a block along n.
        per_thread_m: elements of a thread along m.
        per_thread_n: elements of a thread along n.
        tile_k: terms that shared memory holds at a time.
    """

    threads_m: int
    threads_n: int
    per_thread_m: int
    per_thread_n: int
    tile_k: int

    @property
    def tile_m(self) -> int:
        """Rows of a block."""
        return self.threads_m * self.per_thread_m

    @property
    def tile_n(self) -> int:
        """Columns of a block."""
        return self.threads_n * self.per_thread_n

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.threads_m * self.threads_n

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a block, of float32."""
        return 4 * self.tile_k * (self.tile_m + self.tile_n)

    @property
    def name(self) -> str:
        """Its numbers, as ``m64n64k16t128``: the tile of a block, then its threads."""
        return f"m{self.tile_m}n{self.tile_n}k{self.tile_k}t{self.threads}"


#: 128, 64 or 32 threads; the last are for small products, which would leave a GPU idle.
TILES = (
    ProductTile(16, 16, 8, 8, 8),
    ProductTile(16, 8, 4, 8, 16),
    ProductTile(16, 8, 4, 4, 16),
    ProductTile(16, 8, 2, 4, 16),
    ProductTile(8, 8, 4, 4, 16),
    ProductTile(8, 8, 2, 4, 32),
    ProductTile(8, 8, 2, 2, 32),
)


def choose_tile(batch: int, m: int, n: int, k: int, gpu: Gpu) -> ProductTile:
    """The tile whose estimate is lowest; the first of equals.

    Args:
        batch: independent products.
        m: rows of the result.
        n: columns of the result.
        k: terms of each element.
        gpu: the architecture.
    """
    return min(TILES, key=lambda tile: _cost(tile, batch, m, n, k, gpu))


def _cost(tile: ProductTile, batch: int, m: int, n: int, k: int, gpu: Gpu) -> float:
    """Relative time: waves of blocks, times the work of a block, times what memory adds to it.

    No number here was measured: the model only orders the tiles by waste and by traffic.
    """
    multiprocessors = _MULTIPROCESSORS.get(gpu.capability, _USUAL_MULTIPROCESSORS)
    blocks = batch * math.ceil(m / tile.tile_m) * math.ceil(n / tile.tile_n)
    work = tile.tile_m * tile.tile_n * math.ceil(k / tile.tile_k) * tile.tile_k
    intensity = tile.tile_m * tile.tile_n / (tile.tile_m + tile.tile_n)
    traffic = 1 + _BALANCED_INTENSITY / intensity
    resident = math.ceil(blocks / multiprocessors)
    busy = min(1.0, resident * tile.threads / _ENOUGH_THREADS)
    return resident * work * traffic / busy
