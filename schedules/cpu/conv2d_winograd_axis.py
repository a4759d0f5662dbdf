"""How the Winograd convolution cuts an axis of the image into tiles, and tiles into blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgewright.schedules.cpu.winograd_matrices import AxisTransform

__all__ = ["Axis", "Span"]


@dataclass(frozen=True)
class Span:
    """Blocks of one axis that need equal code.

    Attributes:
        first: number of the first block.
        count: blocks.
        whole: whole tiles in each; the last block may have fewer, ``last``.
        short: whether a short tile follows them.
        last: whole tiles in the last block.
    """

    first: int
    count: int
    whole: int
    short: bool
    last: int

    @property
    def ragged(self) -> bool:
        """Whether the last block has fewer tiles than the others."""
        return self.last < self.whole

    @property
    def tiles(self) -> int:
        """Tiles in each block."""
        return self.whole + self.short


@dataclass(frozen=True)
class Axis:
    """The tiles along height or width.

    Attributes:
        in_extent, out_extent: elements of the image.
        pad: zeros before the input.
        transform: the transform of a tile; says whether the last tile is short.
        block: tiles in a block.
        unrolled: whether tiles are unrolled, so that a cut one, or fewer, need their own code.
    """

    in_extent: int
    out_extent: int
    pad: int
    transform: AxisTransform
    block: int
    unrolled: bool

    @property
    def tiles(self) -> int:
        """Tiles, a short one included."""
        return math.ceil(self.out_extent / self.transform.outputs)

    @property
    def blocks(self) -> int:
        """Blocks of tiles."""
        return math.ceil(self.tiles / self.block)

    @property
    def last_outputs(self) -> int:
        """Outputs of the last tile that exist."""
        return self.out_extent - (self.tiles - 1) * self.transform.outputs

    @property
    def spans(self) -> list[Span]:
        """Runs of blocks that need equal code, at most two."""
        short = bool(self.transform.edge_outputs)
        last = self.tiles - (self.blocks - 1) * self.block
        ending = Span(self.blocks - 1, 1, last - short, short, last - short)
        if self.blocks == 1:
            return [ending]
        cut = self.last_outputs < self.transform.outputs
        if not short and (not self.unrolled or (last == self.block and not cut)):
            return [Span(0, self.blocks, self.block, False, last)]
        return [Span(0, self.blocks - 1, self.block, False, self.block), ending]

    def inputs(self, span: Span) -> int:
        """Input elements that a block reads, padding included."""
        t = self.transform
        outputs = span.whole * t.outputs + (t.edge_outputs if span.short else 0)
        return outputs + t.taps - 1

    def missing(self, tile: int) -> frozenset[int]:
        """Inputs of a tile, by their number in it, that lie outside the image."""
        first = tile * self.transform.outputs - self.pad
        return frozenset(
            i for i in range(self.transform.points) if not 0 <= first + i < self.in_extent
        )

    def missing_runs(self) -> list[tuple[int, int, frozenset[int]]]:
        """Neighbouring tiles that miss the same inputs: (first, one past the last, missing).

        A short tile is a run of its own.
        """
        runs: list[tuple[int, int, frozenset[int]]] = []
        for tile in range(self.tiles):
            missing = self.missing(tile)
            short = bool(self.transform.edge_outputs) and tile == self.tiles - 1
            if runs and runs[-1][2] == missing and not short:
                runs[-1] = (runs[-1][0], tile + 1, missing)
            else:
                runs.append((tile, tile + 1, missing))
        return runs
