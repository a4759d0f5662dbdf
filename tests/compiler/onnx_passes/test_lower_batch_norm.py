from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.onnx_passes.small_models import build, check, node
from tests.compiler.onnx_passes.test_fold_batch_norm import (
    SEEDS,
    SETTINGS,
    batch_norm,
    batch_norm_weights,
)


@SETTINGS
@given(seed=SEEDS, rank=st.integers(0, 3), channels=st.integers(1, 6))
def test_case_1_constant_parameters(seed: int, rank: int, channels: int) -> None:
    generator = np.random.default_rng(seed)
    weights = batch_norm_weights(generator, channels)
    nodes = [node("Sigmoid", ["x"], ["s"]), batch_norm("s", "n"), node("Relu", ["n"], ["y"])]
    model = build(nodes, {"x": [2, channels, *[3] * rank]}, ["y"], weights)
    assert check(model, seed=seed) == {"Sigmoid": 1, "Mul": 1, "Add": 1, "Relu": 1}


def test_case_1_takes_the_scales_that_follow() -> None:
    weights = batch_norm_weights(np.random.default_rng(0), 3)
    weights["k"] = np.array([1, 2, 3], np.float32).reshape(3, 1, 1)
    nodes = [batch_norm("x", "n"), node("Mul", ["n", "k"], ["y"])]
    assert check(build(nodes, {"x": [2, 3, 4, 4]}, ["y"], weights)) == {"Mul": 1, "Add": 1}


@pytest.mark.parametrize("rank", [0, 2])
def test_case_2_computed_parameters(rank: int) -> None:
    nodes = [
        node("Exp", ["v"], ["variance"]),
        batch_norm("x", "y", epsilon=1e-3),
    ]
    inputs = {"x": [2, 3, *[4] * rank], "gamma": [3], "beta": [3], "mean": [3], "v": [3]}
    counts = check(build(nodes, inputs, ["y"]))
    assert counts["Sqrt"] == 1 and counts["Div"] == 1
