"""The moves: loops over tiles, cut tails, vector pieces.

A tail is always cut, never guarded: its code is separate, and the hot loop has no condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import const, divided, remainder, variable
from edgewright.schedules.rules.stages import Axis

__all__ = [
    "Block",
    "Tile",
    "parallel",
    "parallel_nest",
    "sequence",
    "serial",
    "task_variable",
    "tile_loops",
    "vector",
    "widths",
]


@dataclass(frozen=True)
class Tile:
    """An axis walked in steps of ``size`` elements."""

    axis: Axis
    size: int = 1

    @property
    def count(self) -> int:
        """Number of steps, the last of which may be shorter."""
        return -(-self.axis.extent // self.size)


@dataclass(frozen=True)
class Block:
    """One step of all tiles: where it starts, and how many elements it has on each axis."""

    base: Mapping[Any, Any]
    width: Mapping[Any, int]

    def extended(self, axis: Axis, base: Any, width: int) -> Block:
        """This block, with one more axis."""
        return Block({**self.base, axis.var: base}, {**self.width, axis.var: width})


#: Gives the statements of one block.
Leaf = Callable[[Block], list[Any]]


def sequence(statements: Sequence[Any]) -> Any:
    """One statement of several."""
    return statements[0] if len(statements) == 1 else tirx.SeqStmt(list(statements))


def serial(name: str, extent: int, body: Callable[[Any], list[Any]]) -> Any:
    """``for name in range(extent)``, without a loop where the extent is 1."""
    if extent == 1:
        return sequence(body(const(0)))
    var = variable(name)
    return tirx.For(var, const(0), const(extent), tirx.ForKind.SERIAL, sequence(body(var)))


def vector(width: int, body: Callable[[Any], list[Any]]) -> Any:
    """One vector statement of ``width`` lanes; the lane is passed to ``body``."""
    if width == 1:
        return sequence(body(const(0)))
    lane = variable("lane")
    return tirx.For(lane, const(0), const(width), tirx.ForKind.VECTORIZED, sequence(body(lane)))


def widths(extent: int, lanes: int) -> list[tuple[int, int]]:
    """(offset, width) pieces of an extent: full vectors, then powers of two.

    ``widths(21, 8)`` is ``[(0, 8), (8, 8), (16, 4), (20, 1)]``.
    """
    pieces: list[tuple[int, int]] = []
    offset, width = 0, lanes
    while offset < extent:
        while width > extent - offset:
            width //= 2
        pieces.append((offset, width))
        offset += width
    return pieces


def tile_loops(tiles: Sequence[Tile], leaf: Leaf, block: Block | None = None) -> list[Any]:
    """Serial loops over tiles, outermost first, each with its tail cut off."""
    block = block or Block({}, {})
    if not tiles:
        return leaf(block)
    tile, rest = tiles[0], tiles[1:]
    full, tail = divmod(tile.axis.extent, tile.size)
    statements: list[Any] = []
    if full:
        statements.append(
            serial(
                tile.axis.var.name,
                full,
                lambda step: tile_loops(
                    rest, leaf, block.extended(tile.axis, _scaled(step, tile.size), tile.size)
                ),
            )
        )
    if tail:
        tail_block = block.extended(tile.axis, const(full * tile.size), tail)
        statements.extend(tile_loops(rest, leaf, tail_block))
    return statements


def parallel_nest(tiles: Sequence[Tile], fused: int, leaf: Leaf, prologue: Sequence[Any]) -> Any:
    """A parallel loop over the first ``fused`` tiles, serial loops over the others.

    ::

        for task in parallel(count_0 * count_1):
            prologue
            if task // count_1 < full_0: … else: …     only where a tile has a tail
                for …: leaf
    """
    loop_var, task = task_variable()
    tasks = 1
    steps: list[Any] = []
    for tile in reversed(tiles[:fused]):
        step = divided(task, tasks) if tasks > 1 else task
        tasks *= tile.count
        steps.insert(0, (step, tile))
    # The outermost step needs no remainder, and one of a single step is 0.
    positions = [
        const(0) if tile.count == 1 else (step if index == 0 else remainder(step, tile.count))
        for index, (step, tile) in enumerate(steps)
    ]

    def fixed(index: int, block: Block) -> list[Any]:
        if index == len(positions):
            return tile_loops(tiles[fused:], leaf, block)
        tile, step = tiles[index], positions[index]
        full, tail = divmod(tile.axis.extent, tile.size)
        base = _scaled(step, tile.size)
        if not tail:
            return fixed(index + 1, block.extended(tile.axis, base, tile.size))
        rest = fixed(index + 1, block.extended(tile.axis, const(full * tile.size), tail))
        if not full:
            return rest
        whole = fixed(index + 1, block.extended(tile.axis, base, tile.size))
        return [tirx.IfThenElse(step < const(full), sequence(whole), sequence(rest))]

    body = sequence([*prologue, *fixed(0, Block({}, {}))])
    return parallel(loop_var, tasks, body)


def task_variable() -> tuple[Any, Any]:
    """A parallel loop's ``int32`` variable (the type of tasks in C), and its ``int64`` value."""
    var = tirx.Var("task", "int32")
    return var, tirx.Cast("int64", var)


def parallel(loop_var: Any, tasks: int, body: Any) -> Any:
    """A parallel loop of ``tasks`` steps."""
    extent = const(tasks, "int32")
    return tirx.For(loop_var, const(0, "int32"), extent, tirx.ForKind.PARALLEL, body)


def _scaled(step: Any, size: int) -> Any:
    return step if size == 1 else step * const(size)
