from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from edgewright.schedules.cpu.blocked import Shape
from edgewright.schedules.cpu.gather_channels import (
    BLOCK_RUNS_ATTR,
    ChannelPick,
    gather_channels,
)
from edgewright.spec.target import CORES, Target
from tests.schedules.execution import F32, blocked, each_target, examples, plain, run
from tests.schedules.strategies import repeatable

Gather = tuple[list[Shape], list[ChannelPick]]


@st.composite
def gathers(draw: DrawFn) -> Gather:
    """Some sources, and channels picked from them: at random, in runs, or every other one."""
    batch, height, width = draw(st.sampled_from([1, 2])), draw(st.integers(1, 4)), 5
    channels = draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    shapes = [(batch, count, height, width) for count in channels]
    everything = [(source, c) for source, count in enumerate(channels) for c in range(count)]
    order = draw(st.sampled_from(["whole", "reversed", "every other", "interleaved", "random"]))
    if order == "random":
        return shapes, draw(st.lists(st.sampled_from(everything), min_size=1, max_size=40))
    picks = {
        "whole": everything,
        "reversed": everything[::-1],
        "every other": everything[::2],
        "interleaved": sorted(everything, key=lambda pick: (pick[1], pick[0])),
    }[order]
    return shapes, picks


def gathered(sources: list[F32], picks: list[ChannelPick]) -> F32:
    return np.stack([sources[source][:, channel] for source, channel in picks], axis=1)


def run_gather(shapes: list[Shape], picks: list[ChannelPick], target: Target) -> None:
    """Runs the kernel and compares, bit by bit."""
    rng, lanes = np.random.default_rng(0), target.isa.vec_lanes
    sources = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    kernel = gather_channels(shapes, picks, target)
    batch, _, height, width = shapes[0]
    out_shape = (batch, math.ceil(len(picks) / lanes), height, width, lanes)
    y = run(kernel, target, [blocked(x, lanes) for x in sources], out_shape)
    assert np.array_equal(plain(y, len(picks)), gathered(sources, picks))


@each_target
def test_any_picks(target: Target) -> None:
    @repeatable(examples(target, 30))
    @given(case=gathers())
    def holds(case: Gather) -> None:
        run_gather(*case, target)

    holds()


@each_target
def test_large_tensors_are_cut_into_tasks(target: Target) -> None:
    shapes: list[Shape] = [(1, 20, 150, 149)]
    picks = [(0, channel) for channel in range(19, -1, -1)]
    name = gather_channels(shapes, picks, target).name
    assert f"_r{150 * 149}_" not in name, name
    run_gather(shapes, picks, target)


A72 = CORES["cortex-a72"]


def runs(shapes: list[Shape], picks: list[ChannelPick]) -> list[int] | None:
    attrs = gather_channels(shapes, picks, A72).prim_func.attrs
    return [int(number) for number in attrs[BLOCK_RUNS_ATTR]] if BLOCK_RUNS_ATTR in attrs else None


def whole(source: int, first: int, count: int) -> list[ChannelPick]:
    return [(source, channel) for channel in range(first, first + count)]


@pytest.mark.parametrize(
    ("picks", "expected"),
    [
        (whole(0, 0, 8) + whole(1, 0, 8), [0, 0, 2, 1, 0, 2]),
        (whole(1, 4, 4), [1, 1, 1]),
        (whole(0, 0, 8) + whole(1, 0, 3), [0, 0, 2, 1, 0, 1]),
        (whole(0, 0, 6) + whole(1, 0, 8), None),
        (whole(0, 1, 4), None),
        ([(0, 0), (0, 0), (0, 1), (0, 1)], None),
    ],
    ids=["whole tensors", "a block", "a tail", "ragged", "shifted", "repeated"],
)
def test_whole_blocks_are_told_to_the_memory_plan(
    picks: list[ChannelPick], expected: list[int] | None
) -> None:
    shapes: list[Shape] = [(1, 8, 4, 4), (1, 8, 4, 4)]
    assert runs(shapes, picks) == expected


def test_images_of_a_batch_lie_apart_so_that_blocks_must_move() -> None:
    shapes: list[Shape] = [(2, 8, 4, 4), (2, 8, 4, 4)]
    assert runs(shapes, whole(0, 0, 8) + whole(1, 0, 8)) is None


def test_equal_names_mean_equal_picks() -> None:
    shapes: list[Shape] = [(1, 8, 4, 4)]
    names = {gather_channels(shapes, whole(0, first, 4), A72).name for first in range(4)}
    assert len(names) == 4
