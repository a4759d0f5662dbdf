"""Tile sizes of Strassen's 1x1 convolution, and the seven products that make it."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["INPUT_SUMS", "PRODUCTS", "Conv2dStrassenConfig", "Geometry", "Product"]

#: Quarters of a matrix: (half of the rows, half of the columns).
Quarter = tuple[int, int]
#: A sum of quarters, each with its sign.
QuarterSum = tuple[tuple[int, Quarter], ...]


@dataclass(frozen=True)
class Product:
    """One of the products ``M = weights · input``.

    Attributes:
        weights: quarters of the weights, ``(output channels, input channels)``.
        inputs: quarters of the input, ``(input channels, pixels)``.
        adds: quarters of the result that it adds to, with its sign: ``(output channels, pixels)``.
        sets: those whose first product it is.
        ends: those whose last product it is.
    """

    weights: QuarterSum
    inputs: QuarterSum
    adds: QuarterSum
    sets: tuple[Quarter, ...] = ()
    ends: tuple[Quarter, ...] = ()


_11, _12, _21, _22 = (0, 0), (0, 1), (1, 0), (1, 1)

#: V. Strassen, "Gaussian elimination is not optimal", Numerische Mathematik 13, 1969, in an order
#: in which two of them begin with the sums that they add to, and so end them in registers.
PRODUCTS = (
    Product(((1, _11), (1, _22)), ((1, _11), (1, _22)), ((1, _11), (1, _22)), sets=(_11, _22)),
    Product(((1, _21), (1, _22)), ((1, _11),), ((1, _21), (-1, _22)), sets=(_21,)),
    Product(((1, _11),), ((1, _12), (-1, _22)), ((1, _12), (1, _22)), sets=(_12,)),
    Product(((1, _22),), ((1, _21), (-1, _11)), ((1, _11), (1, _21)), ends=(_21,)),
    Product(((1, _11), (1, _12)), ((1, _22),), ((-1, _11), (1, _12)), ends=(_12,)),
    Product(((1, _21), (-1, _11)), ((1, _11), (1, _12)), ((1, _22),), ends=(_22,)),
    Product(((1, _12), (-1, _22)), ((1, _21), (1, _22)), ((1, _11),), ends=(_11,)),
)
#: The inputs of :data:`PRODUCTS` that are no single quarter, in the order of their memory.
INPUT_SUMS = tuple(product.inputs for product in PRODUCTS if len(product.inputs) > 1)


@dataclass(frozen=True)
class Conv2dStrassenConfig:
    """Tile sizes.

    Attributes:
        tile_oc: blocks of output channels in the register tile.
        tile_ow: pixels in the register tile.
        unroll_ic: input channels in one turn of the innermost loop.
        chunk_rows: pixel tiles of one task.
        prefetch_bytes: how far ahead weights are asked for; 0: not at all.
    """

    tile_oc: int
    tile_ow: int
    unroll_ic: int
    chunk_rows: int = 1
    prefetch_bytes: int = 0

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"oc{self.tile_oc}ow{self.tile_ow}u{self.unroll_ic}r{self.chunk_rows}" + (
            f"pf{self.prefetch_bytes}" if self.prefetch_bytes else ""
        )


@dataclass(frozen=True)
class Geometry:
    """A workload in halves: channels in blocks of ``lanes``, the image one row of pixels."""

    workload: Conv2dWorkload
    lanes: int

    @property
    def pixels(self) -> int:
        """Pixels of half the image."""
        return self.workload.in_h * self.workload.in_w // 2

    @property
    def in_blocks(self) -> int:
        """Blocks of half the input channels."""
        return self.workload.in_channels // self.lanes // 2

    @property
    def out_blocks(self) -> int:
        """Blocks of half the output channels."""
        return self.workload.out_channels // self.lanes // 2

    @property
    def channels(self) -> int:
        """Half the input channels."""
        return self.workload.in_channels // 2

    @property
    def weight_elements(self) -> int:
        """Elements of the packed weights."""
        return len(PRODUCTS) * self.out_blocks * self.lanes * self.channels
