"""The blocked layout ``NCHW{c}c``: how kernels over it are named, packed and cut into tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.schedules.cost import split_tasks
from edgewright.spec.target import Target

__all__ = [
    "BlockedSpan",
    "Shape",
    "blocked_span",
    "pack_channels",
    "shape_stem",
]

#: ``(N, C, H, W)`` of the tensor, padding lanes left out.
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class BlockedSpan:
    """A blocked tensor cut into tasks: each takes ``size`` pixels (or tiles) of one channel block.

    Attributes:
        batch, blocks, pixels: extents of the tensor.
        size: pixels (or tiles) of one task.
        chunks: tasks of one channel block.
    """

    batch: int
    blocks: int
    pixels: int
    size: int
    chunks: int

    @property
    def tasks(self) -> int:
        """Extent of the parallel loop."""
        return self.batch * self.blocks * self.chunks

    def decode(self, task: Any) -> tuple[Any, Any, Any]:
        """Image, channel block and chunk of a task."""
        block = task // self.chunks % self.blocks
        return task // (self.chunks * self.blocks), block, task % self.chunks


def blocked_span(
    shape: Shape, target: Target, *, units: int, cycles_per_pixel: float
) -> BlockedSpan:
    """Cuts a blocked tensor of ``shape``, each of whose blocks has ``units`` units, into tasks."""
    batch, channels, height, width = shape
    blocks, pixels = math.ceil(channels / target.isa.vec_lanes), height * width
    split = split_tasks(
        target,
        units=units,
        outer=batch * blocks,
        cycles=batch * blocks * pixels * cycles_per_pixel,
    )
    return BlockedSpan(batch, blocks, pixels, split.size, split.chunks)


def shape_stem(shape: Shape) -> str:
    """``n1c64h56w56``."""
    return "n{}c{}h{}w{}".format(*shape)


def pack_channels(
    vector: npt.NDArray[np.float32], lanes: int, fill: float = 0.0
) -> npt.NDArray[np.float32]:
    """Pads a vector over channels to whole blocks of ``lanes``."""
    packed = np.full(math.ceil(vector.size / lanes) * lanes, fill, np.float32)
    packed[: vector.size] = vector.reshape(-1)
    return packed
