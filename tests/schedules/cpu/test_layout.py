from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgewright.schedules.cpu import layout
from edgewright.schedules.cpu.blocked import Shape, pack_channels
from edgewright.spec.target import Target
from tests.schedules.execution import (
    F32,
    blocked,
    each_target,
    examples,
    run,
)
from tests.schedules.strategies import repeatable

SHAPES = st.tuples(
    st.sampled_from([1, 2]), st.integers(1, 40), st.integers(1, 9), st.integers(1, 40)
)


def normal(shape: Shape, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blocked_shape(shape: Shape, target: Target) -> tuple[int, ...]:
    lanes = target.isa.vec_lanes
    return (shape[0], math.ceil(shape[1] / lanes), shape[2], shape[3], lanes)


@each_target
def test_there_and_back_at_any_address(target: Target) -> None:
    @repeatable(examples(target, 21))
    @given(shape=SHAPES, misalign=st.sampled_from([0, 4, 36]))
    def holds(shape: Shape, misalign: int) -> None:
        x = normal(shape)
        there = run(
            layout.to_blocked(shape, target),
            target,
            [x],
            blocked_shape(shape, target),
            misalign=[misalign],
        )
        assert np.array_equal(there, blocked(x, target.isa.vec_lanes, padding=0.0))
        back = run(
            layout.from_blocked(shape, target), target, [there], shape, misalign=[0, misalign]
        )
        assert np.array_equal(back, x)

    holds()


@each_target
def test_large_tensors_are_cut_into_tasks(target: Target) -> None:
    shape = (1, 3, 150, 149)
    kernel = layout.to_blocked(shape, target)
    units = math.ceil(150 * 149 / target.isa.vec_lanes)
    assert f"_r{units}_" not in kernel.name, kernel.name
    x = normal(shape)
    there = run(kernel, target, [x], blocked_shape(shape, target))
    assert np.array_equal(there, blocked(x, target.isa.vec_lanes, padding=0.0))
    assert np.array_equal(run(layout.from_blocked(shape, target), target, [there], shape), x)


def test_channels_are_packed_with_zeros() -> None:
    assert pack_channels(np.arange(1, 4, dtype=np.float32), 4).tolist() == [1, 2, 3, 0]
