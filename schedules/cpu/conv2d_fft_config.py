"""Tile sizes of the FFT convolution, and a workload as its schedule sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["POINTS", "Conv2dFftConfig", "FftAxis", "FftGeometry", "axis_of", "fft_axis"]

#: Sizes of the transforms of an axis; 1 where the kernel has one tap.
POINTS = (1, 4, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class FftAxis:
    """How one axis of the image is cut into tiles.

    A tile reads ``points`` inputs. Most axes overlap their tiles: a circular correlation of
    ``points`` inputs with ``taps`` taps is the linear one at ``points - taps + 1`` outputs. Where
    the image is small beside its kernel, one tile that begins with the image itself serves all
    outputs: its padding is the zeros behind the image, and the taps that no output needs of an
    input are left out.

    Attributes:
        points: size of the transform.
        outputs: outputs of a tile; the last tile may have fewer.
        out_extent, in_extent: outputs and inputs of the image.
        lead: inputs of the first tile before the image's first.
        taps: for each tap of the kernel its place in the circular kernel, or None.
    """

    points: int
    outputs: int
    out_extent: int
    in_extent: int
    lead: int
    taps: tuple[int | None, ...]

    @property
    def tiles(self) -> int:
        """Tiles of the axis."""
        return math.ceil(self.out_extent / self.outputs)

    @property
    def last_outputs(self) -> int:
        """Outputs of the last tile."""
        return self.out_extent - (self.tiles - 1) * self.outputs

    @property
    def real_rows(self) -> tuple[int, ...]:
        """Frequencies of a real signal whose value is real."""
        return (0,) if self.points == 1 else (0, self.points // 2)

    @property
    def complex_rows(self) -> int:
        """Frequencies of a real signal whose value is complex and no other's conjugate."""
        return max(0, self.points // 2 - 1)

    def window(self, tiles: int) -> int:
        """Inputs that ``tiles`` neighbouring tiles read."""
        return (tiles - 1) * self.outputs + self.points


def fft_axis(
    points: int, *, in_extent: int, out_extent: int, kernel: int, pad: int, dilation: int
) -> FftAxis | None:
    """The tiles of an axis for a transform of ``points``, or None: it is too small."""
    # A single tile: output o needs input i by tap i - o + pad.
    lowest, highest = pad - (out_extent - 1), in_extent - 1 + pad
    places = [tap * dilation for tap in range(kernel)]
    used = [place for place in places if lowest <= place <= highest]
    if used and points >= max(in_extent, out_extent):
        alias_free = points > highest - used[0] and points > used[-1] - lowest
        if alias_free:
            taps = tuple((p - pad) % points if lowest <= p <= highest else None for p in places)
            return FftAxis(points, out_extent, out_extent, in_extent, 0, taps)
    most = points - places[-1]
    if most < 1:
        return None
    tiles = math.ceil(out_extent / most)
    outputs = math.ceil(out_extent / tiles)
    return FftAxis(points, outputs, out_extent, in_extent, pad, tuple(places))


@dataclass(frozen=True)
class Conv2dFftConfig:
    """Tile sizes.

    Attributes:
        points_h, points_w: sizes of the transforms.
        tile_oc: blocks of output channels in the register tile.
        tile_t: image tiles in the register tile.
        block_rows, block_cols: image tiles of one task, divisors of the image's.
        chunk_ic: blocks of input channels that are transformed at a time.
        chunk_oc: tiles of output channels whose products are held at a time.
        group_oc: chunks of output channels of one task.
        prefetch_bytes: how far ahead weights are asked for; 0: not at all.
    """

    points_h: int
    points_w: int
    tile_oc: int
    tile_t: int
    block_rows: int
    block_cols: int
    chunk_ic: int
    chunk_oc: int
    group_oc: int
    prefetch_bytes: int = 0

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return (
            f"f{self.points_h}x{self.points_w}_oc{self.tile_oc}t{self.tile_t}"
            f"b{self.block_rows}x{self.block_cols}ic{self.chunk_ic}c{self.chunk_oc}g{self.group_oc}"
            + (f"pf{self.prefetch_bytes}" if self.prefetch_bytes else "")
        )


@dataclass(frozen=True)
class FftGeometry:
    """A workload with its tile sizes.

    A position is a complex number of a tile's transform. A tile of ``h x w`` real inputs has
    ``h w`` real degrees of freedom; the positions are all columns of the complex frequencies of
    the rows, and half the columns of the real ones.

    Attributes:
        workload: the convolution.
        config: tile sizes.
        lanes: elements of a block.
    """

    workload: Conv2dWorkload
    config: Conv2dFftConfig
    lanes: int

    @cached_property
    def rows(self) -> FftAxis:
        """The vertical axis."""
        return self._axis(self.config.points_h, vertical=True)

    @cached_property
    def cols(self) -> FftAxis:
        """The horizontal axis."""
        return self._axis(self.config.points_w, vertical=False)

    def _axis(self, points: int, *, vertical: bool) -> FftAxis:
        axis = axis_of(self.workload, points, vertical=vertical)
        assert axis is not None, "a configuration's transforms hold the kernel"
        return axis

    @property
    def depthwise(self) -> bool:
        """Each output channel has one input channel."""
        return self.workload.is_depthwise

    @cached_property
    def half(self) -> int:
        """Positions of a real row."""
        return self.cols.points // 2 + 1

    @cached_property
    def positions(self) -> int:
        """Positions of a tile."""
        real = len(self.rows.real_rows) * self.half
        return real + self.rows.complex_rows * self.cols.points

    @property
    def in_blocks(self) -> int:
        """Blocks of input channels."""
        return math.ceil(self.workload.in_channels / self.lanes)

    @property
    def out_blocks(self) -> int:
        """Blocks of output channels."""
        return math.ceil(self.workload.out_channels / self.lanes)

    @property
    def tiles(self) -> int:
        """Image tiles of a task."""
        return self.config.block_rows * self.config.block_cols

    @property
    def tile_blocks(self) -> int:
        """Blocks of image tiles of one image."""
        rows = self.rows.tiles // self.config.block_rows
        return rows * (self.cols.tiles // self.config.block_cols)

    @property
    def ic_chunks(self) -> int:
        """Chunks of input channels."""
        return 1 if self.depthwise else math.ceil(self.in_blocks / self.config.chunk_ic)

    @property
    def whole_oc_tiles(self) -> int:
        """Tiles of output channels that are full."""
        return self.out_blocks // self.config.tile_oc

    @property
    def tail_blocks(self) -> int:
        """Blocks of the tile of output channels that is not full; it belongs to the last chunk."""
        return self.out_blocks % self.config.tile_oc

    @property
    def oc_chunks(self) -> int:
        """Chunks of output channels."""
        return max(1, math.ceil(self.whole_oc_tiles / self.config.chunk_oc))

    @property
    def oc_groups(self) -> int:
        """Tasks that share a block of image tiles."""
        if self.depthwise:
            return self.out_blocks
        return math.ceil(self.oc_chunks / self.config.group_oc)

    @property
    def tasks(self) -> int:
        """Extent of the parallel loop."""
        return self.workload.batch * self.tile_blocks * self.oc_groups

    @property
    def chunk_blocks(self) -> int:
        """Blocks of output channels of the largest chunk."""
        return min(self.config.chunk_oc, self.whole_oc_tiles) * self.config.tile_oc + (
            self.tail_blocks
        )

    @property
    def strip_elements(self) -> int:
        """Elements of transformed columns: of a row of tiles before, of one tile after products."""
        return self.rows.points * self.cols.window(self.config.block_cols) * self.lanes

    @property
    def product_elements(self) -> int:
        """Elements of the products of a chunk of output channels."""
        if self.depthwise:
            return 0
        return 2 * self.positions * self.chunk_blocks * self.tiles * self.lanes

    @property
    def input_elements(self) -> int:
        """Elements of the transformed inputs of a chunk of input channels."""
        blocks = 1 if self.depthwise else min(self.config.chunk_ic, self.in_blocks)
        return 2 * self.positions * blocks * self.tiles * self.lanes

    @property
    def scratch_elements(self) -> int:
        """Elements of one thread's scratch memory."""
        return self.product_elements + self.strip_elements + self.input_elements

    @property
    def weight_growth(self) -> float:
        """Elements of transformed weights for each tap of a kernel."""
        return 2 * self.positions / (self.workload.kernel_h * self.workload.kernel_w)

    @property
    def weight_elements(self) -> int:
        """Elements of the transformed weights."""
        channels = 1 if self.depthwise else self.workload.in_channels
        return 2 * self.positions * channels * self.out_blocks * self.lanes


def axis_of(workload: Conv2dWorkload, points: int, *, vertical: bool) -> FftAxis | None:
    """The vertical or horizontal axis of a workload, see :func:`fft_axis`."""
    w = workload
    if vertical:
        return fft_axis(
            points,
            in_extent=w.in_h,
            out_extent=w.out_h,
            kernel=w.kernel_h,
            pad=w.pad_top,
            dilation=w.dilation_h,
        )
    return fft_axis(
        points,
        in_extent=w.in_w,
        out_extent=w.out_w,
        kernel=w.kernel_w,
        pad=w.pad_left,
        dilation=w.dilation_w,
    )
