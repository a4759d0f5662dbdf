"""Tile sizes of the direct convolution, and a workload as its schedule sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgewright.schedules import microkernel as mk
from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["Conv2dDirectConfig", "Geometry", "Place", "Step"]

#: Input channels whose products one turn of the innermost loop holds.
UNROLL_IC = 4
#: Most input channels that share a vector; it divides UNROLL_IC and the lanes of every block.
MAX_SHARED_IC = 4


@dataclass(frozen=True)
class Conv2dDirectConfig:
    """Tile sizes.

    Attributes:
        tile_oc: blocks of output channels in the register tile.
        tile_ow: output columns in the register tile.
        unroll_ic: input channels in one turn of the innermost loop.
        chunk_ic: input channels in one pass over a task's outputs; all of them, or a divisor.
        group_oc: output-channel tiles of one task.
        chunk_rows: output rows (of a flattened image: column tiles) of one task.
        prefetch_bytes: how far ahead weights are asked for; 0: not at all.
    """

    tile_oc: int
    tile_ow: int
    unroll_ic: int = UNROLL_IC
    chunk_ic: int = 0
    group_oc: int = 1
    chunk_rows: int = 1
    prefetch_bytes: int = 0

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return (
            f"oc{self.tile_oc}ow{self.tile_ow}u{self.unroll_ic}"
            f"ic{self.chunk_ic}g{self.group_oc}r{self.chunk_rows}"
            + (f"pf{self.prefetch_bytes}" if self.prefetch_bytes else "")
        )


@dataclass(frozen=True)
class Geometry:
    """A workload as the schedule sees it: blocks, and a 1x1 image flattened to one row.

    Attributes:
        workload: the convolution, narrow groups joined.
        lanes: elements of a block.
        nchw: the input is plain.
        by_lane: multiply-adds take one lane of a vector.
        streams: several vectors are read by one instruction (:mod:`edgewright.schedules.streams`).
    """

    workload: Conv2dWorkload
    lanes: int
    nchw: bool
    by_lane: bool
    streams: bool = False

    @property
    def flat(self) -> bool:
        """Whether the image is one row: 1x1, no stride, no padding."""
        w = self.workload
        return (w.kernel_h, w.kernel_w, w.stride_h, w.stride_w) == (1, 1, 1, 1) and not any(
            (w.pad_top, w.pad_left, w.pad_bottom, w.pad_right)
        )

    @property
    def channels_first(self) -> bool:
        """Whether input channels are the outer loop: vectors of a plain row feed all its columns.

        Without by-lane products the kernel's columns stay a loop: unrolled, LLVM would keep every
        spread element for the next column, far more than there are registers.
        """
        return self.nchw and self.by_lane

    @property
    def rows(self) -> int:
        """Output rows."""
        return 1 if self.flat else self.workload.out_h

    @property
    def columns(self) -> int:
        """Output columns."""
        return self.workload.out_h * self.workload.out_w if self.flat else self.workload.out_w

    @property
    def in_columns(self) -> int:
        """Input columns."""
        return self.workload.in_h * self.workload.in_w if self.flat else self.workload.in_w

    @property
    def group_in(self) -> int:
        """Input channels of one group."""
        return self.workload.in_channels // self.workload.groups

    @property
    def group_blocks(self) -> int:
        """Blocks of output channels in one group."""
        return math.ceil(self.workload.out_channels // self.workload.groups / self.lanes)

    @property
    def shared_ic(self) -> int:
        """Input channels that share the vectors of the last block of output channels, or 1.

        A block of which only half the lanes are output channels holds the products of two input
        channels, one of which only a quarter, of four::

            lanes of 24 channels' second block    |o0 o1 .. o7 -  -  ..  - |   for each channel i
            shared by two                         |o0 o0 o1 o1 .. o7 o7 o7 |   for i and i + 1

        Their inputs are neighbours in a block, read and spread by one load. So 24 channels on 16
        lanes cost 1.5 multiply-adds for each column instead of 2. By lane, spreading neighbours
        would be one instruction more.
        """
        w = self.workload
        if self.by_lane or self.nchw or w.groups > 1 or w.in_channels < MAX_SHARED_IC:
            return 1
        used = w.out_channels % self.lanes
        return max((s for s in (1, 2, MAX_SHARED_IC) if 0 < used * s <= self.lanes), default=1)

    @property
    def weight_elements(self) -> int:
        """Elements of one group's packed weights."""
        shared = self.shared_ic > 1
        last = self.shared_steps(self.group_in) if shared else 0
        vectors = self.group_in * (self.group_blocks - shared) + last
        return vectors * self.taps * self.lanes

    def shared_steps(self, channels: int) -> int:
        """Vectors of a shared block for ``channels`` input channels of one tap."""
        return math.ceil(channels / self.shared_ic)

    @property
    def taps(self) -> int:
        """Elements of a kernel of one input channel."""
        return self.workload.kernel_h * self.workload.kernel_w

    def row_span(self, columns: int) -> int:
        """Input columns that ``columns`` output columns see, from the first to the last."""
        w = self.workload
        return (columns - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w + 1

    def held_inputs(self, columns: int) -> int:
        """Input vectors that feed a register tile of ``columns`` at once, by lane."""
        return math.ceil(self.row_span(columns) / self.lanes) if self.nchw else columns

    def column_tiles(self, tile: int) -> list[mk.ColumnTiles]:
        """Runs of equal tiles of ``tile`` output columns."""
        w = self.workload
        return mk.column_tiles(
            in_w=self.in_columns,
            out_w=self.columns,
            tile=tile,
            kernel=w.kernel_w,
            stride=w.stride_w,
            pad=w.pad_left,
            dilation=w.dilation_w,
        )


@dataclass(frozen=True)
class Place:
    """Where a register tile is: image, group, its output-channel blocks, input chunk.

    Attributes:
        block: first of ``blocks`` blocks of output channels.
        shared: input channels that share the vectors of the last of them, or 1.
        interior: whether its output row is known to see all kernel rows.
    """

    batch: Any
    group: Any
    block: Any
    blocks: int
    chunk: Any
    shared: int = 1
    interior: bool = False


@dataclass(frozen=True)
class Step:
    """One kernel tap of a tile.

    Attributes:
        pixel: first input pixel.
        position: first of the tile's weight vectors for this tap.
        columns: output columns that the tap touches.
    """

    tile: mk.RegisterTile
    place: Place
    pixel: Any
    position: Any
    columns: tuple[int, ...]
