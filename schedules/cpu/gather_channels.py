"""Rearranges channels of blocked activations: concatenation, split, slice and channel shuffle.

All of them pick, for each channel of the result, a channel of some source; so does any sequence of
them. The kernel moves each result vector once::

    before                                  after
    for each operator, channel, pixel:      parallel task: (image, chunk of pixels)
      y[channel] = x[other channel]           for group of result blocks, pixel:
                                                load the vectors they pick from, once each
                                                for block: shuffle lanes, store

A group's loads stay in registers. Whole blocks are copied without a shuffle. Where whole tensors
follow each other nothing has to move at all: the attribute :data:`BLOCK_RUNS_ATTR` says so to the
memory plan, which may let the result and its sources share their memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import split_tasks
from edgewright.schedules.cpu.blocked import Shape, shape_stem
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.names import kernel_name
from edgewright.spec.target import Target

__all__ = ["BLOCK_RUNS_ATTR", "ChannelPick", "gather_channels"]

#: Attribute of a kernel that copies whole blocks: ``source, first block, blocks`` of each run.
BLOCK_RUNS_ATTR = "edgewright.block_runs"

#: Source and channel in it.
ChannelPick = tuple[int, int]

#: Most source vectors that a group of result blocks loads: they stay in registers.
GROUP_SOURCES = 4


@dataclass(frozen=True)
class _Block:
    """A block of the result.

    Attributes:
        index: its position.
        lanes: for each lane the source vector, (source, block), and the lane in it.
        valid: lanes that are channels; the others are padding.
    """

    index: int
    lanes: tuple[tuple[tuple[int, int], int], ...]
    valid: int

    @property
    def in_order(self) -> bool:
        """Whether it is one source vector as it is, padding lanes apart."""
        first = self.sources[0]
        return self.lanes[: self.valid] == tuple((first, lane) for lane in range(self.valid))

    @property
    def sources(self) -> tuple[tuple[int, int], ...]:
        """The source vectors, each once, in the order of their first use."""
        return tuple(dict.fromkeys(vector for vector, _ in self.lanes))


def gather_channels(
    shapes: Sequence[Shape], picks: Sequence[ChannelPick], target: Target
) -> Kernel:
    """``y[:, c] = x_s[:, k]`` where ``(s, k)`` is ``picks[c]``: parameters x0, x1, …, y.

    Sources and result are blocked, ``float32[N, ceil(C/c), H, W, c]``; padding lanes of the result
    repeat its last channel.

    Args:
        shapes: ``(N, C, H, W)`` of each source, equal but for the channels.
        picks: source and channel for each channel of the result, not empty.
        target: the core.
    """
    return _gather(tuple(shapes), tuple(picks), target)


@lru_cache(maxsize=1024)
def _gather(shapes: tuple[Shape, ...], picks: tuple[ChannelPick, ...], target: Target) -> Kernel:
    lanes = target.isa.vec_lanes
    batch, _, height, width = shapes[0]
    pixels = height * width
    blocks = _result_blocks(picks, lanes)
    vectors = sum(1 + len(block.sources) for block in blocks)
    cycles = 2.0 * batch * pixels * vectors
    split = split_tasks(target, units=pixels, outer=batch, cycles=cycles)
    digest = hashlib.sha256(repr((shapes, picks)).encode()).hexdigest()[:10]
    shape = (batch, len(picks), height, width)
    name = kernel_name(
        "gather_channels", f"r{split.size}", target.isa.name, shape_stem(shape), f"m{digest}"
    )
    emit = partial(_emit, shapes, blocks, (split.size, split.chunks), mk.simd_of(target))
    function = mk.kernel_function(name, emit)
    runs = _block_runs(blocks)
    if batch == 1 and runs is not None:
        function = function.with_attr(BLOCK_RUNS_ATTR, [number for run in runs for number in run])
    return Kernel(
        name=name,
        algorithm="gather",
        prim_func=function,
        cost=cycles,
        reason="channels rearranged in the blocked layout, each vector moved once",
    )


def _result_blocks(picks: Sequence[ChannelPick], lanes: int) -> list[_Block]:
    blocks = []
    for index in range(math.ceil(len(picks) / lanes)):
        inside = picks[index * lanes : (index + 1) * lanes]
        filled = (*inside, *[inside[-1]] * (lanes - len(inside)))
        placed = tuple(((source, c // lanes), c % lanes) for source, c in filled)
        blocks.append(_Block(index, placed, len(inside)))
    return blocks


def _block_runs(blocks: Sequence[_Block]) -> list[tuple[int, int, int]] | None:
    """Runs of whole source blocks: source, first block, blocks; None where lanes move."""
    runs: list[tuple[int, int, int]] = []
    for block in blocks:
        if not block.in_order:
            return None
        source, first = block.sources[0]
        if runs and runs[-1][0] == source and runs[-1][1] + runs[-1][2] == first:
            last = runs.pop()
            runs.append((source, last[1], last[2] + 1))
        else:
            runs.append((source, first, 1))
    return runs


def _groups(blocks: Sequence[_Block]) -> list[list[_Block]]:
    """Neighbouring result blocks that together load few source vectors."""
    groups: list[list[_Block]] = []
    for block in blocks:
        if groups:
            loaded = {source for member in groups[-1] for source in member.sources}
            if len(loaded | set(block.sources)) <= max(GROUP_SOURCES, len(loaded)):
                groups[-1].append(block)
                continue
        groups.append([block])
    return groups


def _emit(
    shapes: Sequence[Shape], blocks: Sequence[_Block], split: tuple[int, int], simd: mk.Simd
) -> None:
    lanes = simd.lanes
    size, chunks = split
    batch, _, height, width = shapes[0]
    pixels = height * width
    sources = [
        mk.declare(f"x{number}", (batch, math.ceil(shape[1] / lanes), height, width, lanes))
        for number, shape in enumerate(shapes)
    ]
    y = mk.declare("y", (batch, len(blocks), height, width, lanes))
    zero = mk.index(0)
    with builder.parallel(0, batch * chunks) as task:
        image, first = task // chunks, task % chunks * size
        extent: Any = size
        if chunks * size != pixels:
            extent = tirx.min(mk.index(size), pixels - first)
        for group in _groups(blocks):
            with mk.index_loop(extent, first) as pixel:
                loaded = {
                    (source, block): mk.load(
                        sources[source], (image, mk.index(block), zero, pixel, zero), lanes
                    )
                    for source, block in dict.fromkeys(
                        vector for member in group for vector in member.sources
                    )
                }
                for member in group:
                    place = (image, mk.index(member.index), zero, pixel, zero)
                    mk.store(y, place, _shuffled(member, loaded, lanes), lanes)


def _shuffled(block: _Block, loaded: dict[tuple[int, int], Any], lanes: int) -> Any:
    """A result vector, from two vectors at a time: LLVM takes a wider shuffle apart into lanes."""
    result, *others = (loaded[source] for source in block.sources)
    first, *rest = block.sources
    if block.in_order:
        return result
    if not rest:
        return tirx.Shuffle([result], [lane for _, lane in block.lanes])
    placed = [lane if vector == first else None for vector, lane in block.lanes]
    for source, other in zip(rest, others, strict=True):
        order = []
        for position, (vector, lane) in enumerate(block.lanes):
            if vector == source:
                order.append(lanes + lane)
            else:  # a lane that is still to come may hold anything
                known = placed[position]
                order.append(position if known is None else known)
        result = tirx.Shuffle([result, other], order)
        placed = [
            position if known is not None or vector == source else None
            for position, (known, (vector, _)) in enumerate(zip(placed, block.lanes, strict=True))
        ]
    return result
