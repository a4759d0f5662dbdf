from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.schedules.cpu import dense
from edgewright.schedules.kernel import Declined
from edgewright.schedules.workload import Activation, DenseWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.schedules.emulation import Launch, run_emulated
from tests.schedules.execution import (
    F32,
    F64,
    TARGETS,
    activated,
    assert_close,
    each_target,
    examples,
    run,
)
from tests.schedules.strategies import epilogues, repeatable


def problem(w: DenseWorkload, target: Target) -> tuple[Launch, F64]:
    """The kernel on random tensors, and what numpy makes of them in float64."""
    rng = np.random.default_rng(w.out_features)

    def normal(*shape: int) -> F32:
        return rng.standard_normal(shape).astype(np.float32)

    x, weights = normal(w.rows, w.in_features), normal(w.out_features, w.in_features)
    bias, residual = normal(w.out_features), normal(w.rows, w.out_features)
    answer = dense.offer(w, target)
    assert not isinstance(answer, Declined), answer
    kernel = answer.build()
    assert kernel.pack_weights is not None
    inputs = [x, kernel.pack_weights(weights)]
    expected = x.astype(np.float64) @ weights.astype(np.float64).T
    if w.epilogue.bias:
        assert kernel.pack_bias is not None
        inputs.append(kernel.pack_bias(bias))
        expected = expected + bias
    if w.epilogue.residual:
        inputs.append(residual)
        expected = expected + residual
    launch = Launch(kernel, inputs, (w.rows, w.out_features))
    return launch, activated(expected, w.epilogue.activation)


def check(w: DenseWorkload, target: Target, misalign: int = 0) -> None:
    """Runs the kernel on this machine."""
    launch, expected = problem(w, target)
    shifts = [misalign, *[0] * (len(launch.inputs) - 1), misalign]
    if w.epilogue.residual:
        shifts[-2] = misalign
    y = run(launch.kernel, target, launch.inputs, launch.out_shape, misalign=shifts)
    assert_close(y, expected, w.in_features)


@each_target
def test_dense_of_any_shape_at_any_address(target: Target) -> None:
    @repeatable(examples(target, 30))
    @given(
        w=st.builds(
            DenseWorkload,
            rows=st.sampled_from([1, 1, 1, 2, 3, 5, 14, 29]),
            in_features=st.integers(1, 70),
            out_features=st.integers(1, 150),
            epilogue=epilogues(),
        ),
        misalign=st.sampled_from([0, 4, 20]),
    )
    def holds(w: DenseWorkload, misalign: int) -> None:
        check(w, target, misalign)

    holds()


@each_target
def test_many_rows_are_cut_into_tasks(target: Target) -> None:
    w = DenseWorkload(100, 300, 37, Epilogue(bias=True))
    answer = dense.offer(w, target)
    assert not isinstance(answer, Declined)
    assert "c100" not in answer.name, answer.name
    check(w, target)


@pytest.mark.parametrize(
    ("w", "reason"),
    [
        (DenseWorkload(0, 4, 4), "empty"),
        (DenseWorkload(1, 4, 4, Epilogue(activation=Activation("elu"))), "'elu' is not fused"),
    ],
)
def test_dense_declines_with_the_reason(w: DenseWorkload, reason: str) -> None:
    answer = dense.offer(w, TARGETS[0])
    assert isinstance(answer, Declined)
    assert reason in answer.reason


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a53", "cortex-a7"])
def test_on_arm(core: str) -> None:
    target = CORES[core]
    epilogue = Epilogue(bias=True, residual=True, activation=Activation("relu"))
    workloads = [
        DenseWorkload(rows, features, outputs, epilogue)
        for rows in (1, 2, 5, 16)
        for features, outputs in ((3, 5), (8, 37), (70, 4), (93, 160))
    ]
    problems = [problem(w, target) for w in workloads]
    found = run_emulated([launch for launch, _ in problems], target)
    for w, y, (_, expected) in zip(workloads, found, problems, strict=True):
        assert_close(y, expected, w.in_features)
