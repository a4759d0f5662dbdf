"""Tile sizes of the im2col convolution, and a workload as its schedule sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["Conv2dIm2colConfig", "Im2colGeometry"]


@dataclass(frozen=True)
class Conv2dIm2colConfig:
    """Tile sizes.

    Attributes:
        tile_oc: blocks of output channels in the register tile.
        tile_px: output pixels in the register tile.
        block_px: output pixels of one block of the column matrix, a multiple of ``tile_px``.
        chunk_steps: steps (vectors of one pixel's column) of one block of the column matrix.
        group_oc: output-channel tiles of one task.
    """

    tile_oc: int
    tile_px: int
    block_px: int
    chunk_steps: int
    group_oc: int

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return (
            f"oc{self.tile_oc}px{self.tile_px}b{self.block_px}k{self.chunk_steps}g{self.group_oc}"
        )


@dataclass(frozen=True)
class Im2colGeometry:
    """A workload as a matrix product: columns of ``depth`` elements, one for each output pixel.

    A column is stored as steps of ``lanes`` elements. Blocked inputs give one step for each block
    of input channels and tap, block by block; where the last block is not full its steps count
    ``tail`` channels. Plain inputs give their elements in the order channel, row, column.

    Attributes:
        workload: the convolution, narrow groups joined.
        lanes: elements of a block.
        nchw: the input is plain.
    """

    workload: Conv2dWorkload
    lanes: int
    nchw: bool

    @property
    def group_in(self) -> int:
        """Input channels of one group."""
        return self.workload.in_channels // self.workload.groups

    @property
    def group_blocks(self) -> int:
        """Blocks of output channels in one group."""
        return math.ceil(self.workload.out_channels // self.workload.groups / self.lanes)

    @property
    def taps(self) -> int:
        """Elements of a kernel of one input channel."""
        return self.workload.kernel_h * self.workload.kernel_w

    @property
    def depth(self) -> int:
        """Elements of a column: products of one output."""
        return self.group_in * self.taps

    @property
    def pixels(self) -> int:
        """Columns of one image: output pixels."""
        return self.workload.out_h * self.workload.out_w

    @property
    def tail(self) -> int:
        """Elements of a step that is not full; 0: all are."""
        return (self.depth if self.nchw else self.group_in) % self.lanes

    @property
    def whole_steps(self) -> int:
        """Steps that are full; they come first."""
        if self.nchw:
            return self.depth // self.lanes
        return self.group_in // self.lanes * self.taps

    @property
    def steps(self) -> int:
        """Steps of a column."""
        return self.whole_steps + (0 if not self.tail else 1 if self.nchw else self.taps)

    def oc_tiles(self, config: Conv2dIm2colConfig) -> int:
        """Tiles of output channels of one group."""
        return math.ceil(self.group_blocks / config.tile_oc)

    def px_blocks(self, config: Conv2dIm2colConfig) -> int:
        """Blocks of output pixels of one image."""
        return math.ceil(self.pixels / config.block_px)

    def chunks(self, config: Conv2dIm2colConfig) -> int:
        """Blocks of the column matrix along its columns."""
        return math.ceil(self.steps / config.chunk_steps)

    def scratch_elements(self, config: Conv2dIm2colConfig) -> int:
        """Elements of one block of the column matrix."""
        return config.chunk_steps * config.block_px * self.lanes
