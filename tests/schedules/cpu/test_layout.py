from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.schedules.cpu import layout
from edgewright.schedules.cpu.blocked import Shape, pack_channels
from edgewright.schedules.kernel import Declined, Kernel
from edgewright.schedules.workload import Activation
from edgewright.spec.target import Target
from tests.schedules.execution import (
    F32,
    F64,
    TARGETS,
    activated,
    assert_close,
    blocked,
    each_target,
    examples,
    plain,
    run,
)
from tests.schedules.strategies import ACTIVATIONS, repeatable

SHAPES = st.tuples(
    st.sampled_from([1, 2]), st.integers(1, 40), st.integers(1, 9), st.integers(1, 40)
)


def normal(shape: Shape, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blocked_shape(shape: Shape, target: Target) -> tuple[int, ...]:
    lanes = target.isa.vec_lanes
    return (shape[0], math.ceil(shape[1] / lanes), shape[2], shape[3], lanes)


def offered(answer: Kernel | Declined) -> Kernel:
    assert not isinstance(answer, Declined), answer
    return answer


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


@each_target
def test_concatenation(target: Target) -> None:
    lanes = target.isa.vec_lanes
    shapes = [(2, lanes * 2, 5, 7), (2, lanes, 5, 7), (2, 3, 5, 7)]
    parts = [normal(shape, seed) for seed, shape in enumerate(shapes)]
    kernel = offered(layout.concat_blocked(shapes, target))
    joined = (2, lanes * 3 + 3, 5, 7)
    inputs = [blocked(part, lanes) for part in parts]
    y = run(kernel, target, inputs, blocked_shape(joined, target))
    assert np.array_equal(plain(y, joined[1]), np.concatenate(parts, axis=1))


def test_concatenation_declines_parts_that_end_inside_a_block() -> None:
    lanes = TARGETS[0].isa.vec_lanes
    answer = layout.concat_blocked([(1, lanes - 1, 2, 2), (1, lanes, 2, 2)], TARGETS[0])
    assert isinstance(answer, Declined)
    assert f"{lanes - 1} channels are no multiple of {lanes}" in answer.reason


OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


@each_target
@pytest.mark.parametrize("kind", layout.BINARY_KINDS)
@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
def test_binary_operators(kind: str, per_channel: bool, target: Target) -> None:
    shape = (2, 20, 3, 5)
    x, z = normal(shape), normal((2, 20, 1, 1) if per_channel else shape, 1)
    activation = Activation("relu") if kind == "add" else None
    answer = layout.binary_blocked(
        kind, shape, target, activation=activation, per_channel=per_channel
    )
    lanes = target.isa.vec_lanes
    inputs = [blocked(x, lanes), blocked(z, lanes)]
    y = run(offered(answer), target, inputs, blocked_shape(shape, target))
    expected: F64 = OPERATORS[kind](x.astype(np.float64), z.astype(np.float64))
    assert_close(plain(y, 20), activated(expected, activation), 1)


@each_target
def test_scale_and_shift(target: Target) -> None:
    shape = (2, 20, 3, 5)
    x, scale, shift = normal(shape), normal((1, 20, 1, 1), 1), normal((1, 20, 1, 1), 2)
    kernel = offered(layout.scale_shift_blocked(shape, target, activation=ACTIVATIONS[1]))
    assert kernel.pack_weights is not None
    assert kernel.pack_bias is not None
    inputs = [
        blocked(x, target.isa.vec_lanes),
        kernel.pack_weights(scale.ravel()),
        kernel.pack_bias(shift.ravel()),
    ]
    y = run(kernel, target, inputs, blocked_shape(shape, target))
    expected = activated(x.astype(np.float64) * scale + shift, ACTIVATIONS[1])
    assert_close(plain(y, 20), expected, 1)


@each_target
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: f"{a.kind}_{a.low:g}")
def test_activations(activation: Activation, target: Target) -> None:
    shape = (1, 20, 3, 5)
    x = normal(shape) * 4
    kernel = offered(layout.activation_blocked(activation, shape, target))
    inputs = [blocked(x, target.isa.vec_lanes)]
    y = run(kernel, target, inputs, blocked_shape(shape, target))
    assert_close(plain(y, 20), activated(x.astype(np.float64), activation), 1)


def test_elementwise_declines_with_the_reason() -> None:
    shape, target, tanh = (1, 16, 2, 2), TARGETS[0], Activation("tanh")
    answers = {
        "'div' is none of add": layout.binary_blocked("div", shape, target),
        "'tanh' is not fused": layout.binary_blocked("add", shape, target, activation=tanh),
        "'tanh' is not generated": layout.activation_blocked(tanh, shape, target),
        "activation 'tanh'": layout.scale_shift_blocked(shape, target, activation=tanh),
    }
    for reason, answer in answers.items():
        assert isinstance(answer, Declined)
        assert reason in answer.reason


def test_channels_are_packed_with_zeros() -> None:
    assert pack_channels(np.arange(1, 4, dtype=np.float32), 4).tolist() == [1, 2, 3, 0]
