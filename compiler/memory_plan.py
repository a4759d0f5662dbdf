"""Where each intermediate tensor lies in the arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.compiler.program import ALIGNMENT_BYTES, Launch, Tensor

__all__ = ["MemoryPlan", "plan_memory"]


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets in one arena.

    Attributes:
        arena_bytes: size of the arena.
        peak_live_bytes: the largest sum of tensors that live at the same time; no arena is smaller.
        scratch_bytes: scratch memory of one thread, the largest that any kernel asks for.
    """

    arena_bytes: int
    peak_live_bytes: int
    scratch_bytes: int


@dataclass
class _Lifetime:
    tensor: Tensor
    first: int
    last: int
    size_bytes: int


def plan_memory(launches: Sequence[Launch]) -> MemoryPlan:
    """Place every arena tensor of the launches; sets their ``index`` to the byte offset.

    Tensors that are parts of another are placed with it, and it lives as long as any of them. A
    tensor lives from the launch that writes it to the last that reads it. Tensors are placed
    largest first, each at the lowest offset where it overlaps none that lives at the same time
    ("greedy by size" of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference", 2020, section 5.2).
    """
    lifetimes = _lifetimes(launches)
    placed: list[_Lifetime] = []
    parts = {
        id(tensor): tensor
        for launch in launches
        for tensor in (*launch.reads, *launch.writes)
        if tensor.whole is not None
    }
    for life in sorted(lifetimes, key=lambda life: (-life.size_bytes, life.first)):
        life.tensor.index = _lowest_offset(life, placed)
        placed.append(life)
    for part in parts.values():
        root, offset = part.root()
        part.index = root.index + offset
    return MemoryPlan(
        arena_bytes=max((life.tensor.index + life.size_bytes for life in placed), default=0),
        peak_live_bytes=max(
            (
                sum(life.size_bytes for life in lifetimes if life.first <= step <= life.last)
                for step in range(len(launches))
            ),
            default=0,
        ),
        scratch_bytes=max((launch.scratch_bytes for launch in launches), default=0),
    )


def _lifetimes(launches: Sequence[Launch]) -> list[_Lifetime]:
    lives: dict[int, _Lifetime] = {}
    for step, launch in enumerate(launches):
        for tensor in (*launch.reads, *launch.writes, *launch.intermediates):
            if tensor.kind != "arena":
                continue
            root, _ = tensor.root()
            if id(root) not in lives:
                size = -(-root.size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
                lives[id(root)] = _Lifetime(root, step, step, size)
            lives[id(root)].last = step
    return list(lives.values())


def _lowest_offset(life: _Lifetime, placed: Sequence[_Lifetime]) -> int:
    overlapping = sorted(
        (other for other in placed if other.first <= life.last and life.first <= other.last),
        key=lambda other: other.tensor.index,
    )
    offset = 0
    for other in overlapping:
        if offset + life.size_bytes <= other.tensor.index:
            break
        offset = max(offset, other.tensor.index + other.size_bytes)
    return offset
