"""Tile sizes of the Winograd convolution, and how they cut a workload and lay out its scratch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from edgewright.schedules.cpu.conv2d_winograd_axis import Axis, Span
from edgewright.schedules.cpu.winograd_matrices import AxisTransform, axis_transform
from edgewright.schedules.workload import Conv2dWorkload

__all__ = [
    "Block",
    "Conv2dWinogradConfig",
    "Geometry",
    "PositionClass",
    "Positions",
    "position_parts",
]

#: Elements between two positions of the transformed tensors beyond their own: without them the
#: positions, which a transform writes side by side, would fall into the same sets of a cache.
POSITION_PADDING = 16


@dataclass(frozen=True)
class Conv2dWinogradConfig:
    """Tile sizes.

    Attributes:
        outputs: ``m`` of ``F(m, r)``.
        tile_oc: blocks of output channels in the register tile.
        tile_t: tiles in the register tile, at most.
        block_rows, block_cols: tiles of one task in each direction.
        short_rows, short_cols: whether the last tile of an axis is a short one, with fewer points,
            where the outputs are no multiple of ``m``.
        chunk_oc: register tiles of output channels that are multiplied, then transformed back.
        chunk_ic: input channels that are summed in one pass; all of them, or a divisor.
        group_oc: chunks of output channels in one task.
        group_ic: blocks of input channels that one task transforms for all others to read, in a
            parallel loop of its own; 0: every task transforms its input for itself.
        prefetch_bytes: how far ahead weights are asked for; 0: not at all.
    """

    outputs: int
    tile_oc: int
    tile_t: int
    block_rows: int
    block_cols: int
    short_rows: bool
    short_cols: bool
    chunk_oc: int
    chunk_ic: int
    group_oc: int
    group_ic: int = 0
    prefetch_bytes: int = 0

    @property
    def shared(self) -> bool:
        """Whether tasks share the transformed input."""
        return self.group_ic > 0

    def stem(self) -> str:
        """The tile in a kernel's name, behind ``f4x3``."""
        short = ("r" if self.short_rows else "") + ("c" if self.short_cols else "")
        return (
            f"oc{self.tile_oc}t{self.tile_t}b{self.block_rows}x{self.block_cols}{short}"
            f"m{self.chunk_oc}ic{self.chunk_ic}g{self.group_oc}"
            + (f"s{self.group_ic}" if self.shared else "")
            + (f"pf{self.prefetch_bytes}" if self.prefetch_bytes else "")
        )


@dataclass(frozen=True)
class Block:
    """A task's tiles: a span of each axis."""

    rows: Span
    cols: Span


@dataclass(frozen=True)
class PositionClass:
    """Positions of the transformed tile that the same tiles of a block have.

    Attributes:
        first_row, rows, first_col, cols: the positions, as a rectangle.
        tile_rows, tile_cols: the tiles that have them.
        offset: element of the first position.
        row_step, col_step: elements from one position to the next.
    """

    first_row: int
    rows: int
    first_col: int
    cols: int
    tile_rows: int
    tile_cols: int
    offset: int
    row_step: int
    col_step: int

    @property
    def tiles(self) -> int:
        """Tiles that have these positions."""
        return self.tile_rows * self.tile_cols


class Positions:
    """Layout of a tensor ``[position][channel block][tile][lane]`` over the positions of a block.

    Short tiles have only the first positions of their axis, so positions differ in their number of
    tiles: ``classes[a][b]`` holds those of a row that all tiles (``a = 0``) or whole tiles only
    (``a = 1``) have, and of a column likewise.

    Args:
        geometry: the workload.
        block: the tiles.
        depth: channel blocks.
    """

    def __init__(self, geometry: Geometry, block: Block, depth: int) -> None:
        self.depth = depth
        rows = position_parts(geometry.rows.transform, block.rows)
        cols = position_parts(geometry.cols.transform, block.cols)
        steps = [
            [self._step(tile_rows * tile_cols, geometry.lanes) for _, _, tile_cols in cols]
            for _, _, tile_rows in rows
        ]
        row_steps = [
            sum(count * step for (_, count, _), step in zip(cols, line, strict=True))
            for line in steps
        ]
        self.classes: list[list[PositionClass]] = []
        row_offset = 0
        for (first_row, row_count, tile_rows), line, row_step in zip(
            rows, steps, row_steps, strict=True
        ):
            offset = row_offset
            self.classes.append([])
            for (first_col, col_count, tile_cols), step in zip(cols, line, strict=True):
                self.classes[-1].append(
                    PositionClass(
                        first_row,
                        row_count,
                        first_col,
                        col_count,
                        tile_rows,
                        tile_cols,
                        offset,
                        row_step,
                        step,
                    )
                )
                offset += col_count * step
            row_offset += row_count * row_step
        self.elements = row_offset

    def _step(self, tiles: int, lanes: int) -> int:
        elements = self.depth * tiles * lanes
        return math.ceil(elements / POSITION_PADDING) * POSITION_PADDING + POSITION_PADDING

    def all(self) -> Iterator[PositionClass]:
        """Every class."""
        for line in self.classes:
            yield from line


def position_parts(transform: AxisTransform, span: Span) -> list[tuple[int, int, int]]:
    """Positions of an axis as (first, count, tiles that have them)."""
    if not span.short:
        return [(0, transform.points, span.whole)]
    shared = (0, transform.edge_points, span.tiles)
    rest = (transform.edge_points, transform.points - transform.edge_points, span.whole)
    return [shared, rest] if span.whole else [shared]


@dataclass(frozen=True)
class Geometry:
    """A workload as the schedule sees it."""

    workload: Conv2dWorkload
    config: Conv2dWinogradConfig
    lanes: int

    def _axis(self, height: bool) -> Axis:
        w, c = self.workload, self.config
        out = w.out_h if height else w.out_w
        short = out % c.outputs if (c.short_rows if height else c.short_cols) else 0
        return Axis(
            in_extent=w.in_h if height else w.in_w,
            out_extent=out,
            pad=w.pad_top if height else w.pad_left,
            transform=axis_transform(c.outputs, w.kernel_h, short),
            block=c.block_rows if height else c.block_cols,
            unrolled=not height,
        )

    @cached_property
    def rows(self) -> Axis:
        """The tiles along the height."""
        return self._axis(True)

    @cached_property
    def cols(self) -> Axis:
        """The tiles along the width."""
        return self._axis(False)

    @property
    def in_blocks(self) -> int:
        """Blocks of input channels."""
        return math.ceil(self.workload.in_channels / self.lanes)

    @property
    def out_blocks(self) -> int:
        """Blocks of output channels."""
        return math.ceil(self.workload.out_channels / self.lanes)

    @property
    def whole_oc_tiles(self) -> int:
        """Register tiles of ``tile_oc`` blocks."""
        return self.out_blocks // self.config.tile_oc

    @property
    def tail_blocks(self) -> int:
        """Blocks of output channels beyond the whole register tiles."""
        return self.out_blocks % self.config.tile_oc

    @property
    def oc_chunks(self) -> int:
        """Chunks of output channels; the tail belongs to the last."""
        return max(1, math.ceil(self.whole_oc_tiles / self.config.chunk_oc))

    @property
    def oc_groups(self) -> int:
        """Tasks that share a block of tiles."""
        return math.ceil(self.oc_chunks / self.config.group_oc)

    @property
    def chunk_blocks(self) -> int:
        """Blocks of output channels in the largest chunk."""
        chunk, tiles = self.config.chunk_oc, self.whole_oc_tiles
        last = (tiles - (self.oc_chunks - 1) * chunk) * self.config.tile_oc + self.tail_blocks
        return max(last, min(chunk, tiles) * self.config.tile_oc if self.oc_chunks > 1 else 0)

    @property
    def positions(self) -> int:
        """Positions of a whole transformed tile."""
        return self.rows.transform.points * self.cols.transform.points

    @property
    def tile_blocks(self) -> int:
        """Blocks of tiles, of all images."""
        return self.workload.batch * self.rows.blocks * self.cols.blocks

    @property
    def tasks(self) -> int:
        """Extent of the parallel loop, the last one if there are two."""
        return self.tile_blocks * self.oc_groups

    @cached_property
    def blocks(self) -> list[Block]:
        """The kinds of blocks."""
        return [Block(rows, cols) for rows in self.rows.spans for cols in self.cols.spans]

    @cached_property
    def strip_elements(self) -> int:
        """Elements between the two passes of a transform."""
        found = 0
        for block in self.blocks:
            columns = self.cols.inputs(block.cols)
            found = max(found, self.rows.transform.points * columns * self.lanes)
            tiles = block.cols.tiles * self.cols.transform.points
            found = max(found, self.rows.transform.outputs * tiles * self.lanes)
        return math.ceil(found / POSITION_PADDING) * POSITION_PADDING

    @cached_property
    def input_elements(self) -> int:
        """Elements of a block's transformed input."""
        return max(Positions(self, block, self.in_blocks).elements for block in self.blocks)

    @cached_property
    def product_elements(self) -> int:
        """Elements of the products of one chunk of output channels."""
        return max(Positions(self, block, self.chunk_blocks).elements for block in self.blocks)

    @property
    def scratch_elements(self) -> int:
        """Elements of one thread's scratch memory."""
        own = 0 if self.config.shared else self.input_elements
        return self.product_elements + self.strip_elements + own

    @property
    def shared_elements(self) -> int:
        """Elements of the transformed input that tasks share."""
        return self.tile_blocks * self.input_elements if self.config.shared else 0
