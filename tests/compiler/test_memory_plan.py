"""The memory plan never lets two live tensors overlap, and wastes little."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.compiler.memory_plan import plan_memory
from edgewright.compiler.program import ALIGNMENT_BYTES, Launch, Tensor


def launch(reads: list[Tensor], writes: list[Tensor], scratch_bytes: int = 0) -> Launch:
    return Launch("r", "k", ("k",), (1,), tuple(reads), tuple(writes), (), scratch_bytes)


@st.composite
def programs(draw: st.DrawFn) -> list[Launch]:
    """Random straight-line programs in which each launch reads earlier results."""
    produced = [Tensor("input", 0, 64)]
    launches = []
    for _ in range(draw(st.integers(1, 12))):
        reads = draw(st.lists(st.sampled_from(produced), min_size=1, max_size=3))
        result = Tensor("arena", -1, draw(st.integers(1, 4096)))
        launches.append(launch(reads, [result]))
        produced.append(result)
    return launches


def lifetimes(launches: list[Launch]) -> list[tuple[Tensor, int, int]]:
    found: dict[int, tuple[Tensor, int, int]] = {}
    for step, each in enumerate(launches):
        for tensor in (*each.reads, *each.writes):
            if tensor.kind == "arena":
                first = found[id(tensor)][1] if id(tensor) in found else step
                found[id(tensor)] = (tensor, first, step)
    return list(found.values())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(programs())
def test_live_tensors_never_overlap(launches: list[Launch]) -> None:
    plan = plan_memory(launches)
    lives = lifetimes(launches)
    for i, (a, a_first, a_last) in enumerate(lives):
        assert a.index % ALIGNMENT_BYTES == 0
        assert a.index >= 0 and a.index + a.size_bytes <= plan.arena_bytes
        for b, b_first, b_last in lives[i + 1 :]:
            if a_first <= b_last and b_first <= a_last:
                assert a.index + a.size_bytes <= b.index or b.index + b.size_bytes <= a.index


@settings(max_examples=200, deadline=None, derandomize=True)
@given(programs())
def test_arena_is_at_least_the_peak(launches: list[Launch]) -> None:
    plan = plan_memory(launches)
    assert plan.peak_live_bytes <= plan.arena_bytes


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    sizes = [640, 1280, 320, 1920, 64]
    tensors = [Tensor("arena", -1, size) for size in sizes]
    launches = [launch([Tensor("input", 0, 64)], [tensors[0]])]
    launches += [launch([a], [b]) for a, b in itertools.pairwise(tensors)]
    plan = plan_memory(launches)
    assert plan.arena_bytes == plan.peak_live_bytes == 320 + 1920


@pytest.mark.parametrize("scratch", [[0, 0], [128, 64], [0, 4096]])
def test_scratch_is_the_largest_of_any_kernel(scratch: list[int]) -> None:
    launches = [launch([Tensor("input", 0, 64)], [Tensor("arena", -1, 64)], s) for s in scratch]
    assert plan_memory(launches).scratch_bytes == max(scratch)


def part_of(whole: Tensor, offset_bytes: int, size_bytes: int) -> Tensor:
    return Tensor("arena", -1, size_bytes, whole, offset_bytes)


def test_parts_lie_inside_the_whole_which_lives_as_long_as_any_of_them() -> None:
    source, other, end = Tensor("input", 0, 64), Tensor("arena", -1, 640), Tensor("arena", -1, 64)
    whole = Tensor("arena", -1, 1280)
    inner = part_of(whole, 640, 640)
    parts = [part_of(whole, 0, 640), part_of(inner, 64, 64)]
    launches = [
        launch([source], [parts[0]]),
        launch([parts[0]], [other]),  # only a part is alive, but the memory of all is taken
        launch([other], [parts[1]]),
        launch([whole], [end]),
    ]
    plan = plan_memory(launches)
    assert [part.index - whole.index for part in parts] == [0, 704]
    assert other.index + 640 <= whole.index or whole.index + 1280 <= other.index
    assert plan.peak_live_bytes == 1280 + 640
