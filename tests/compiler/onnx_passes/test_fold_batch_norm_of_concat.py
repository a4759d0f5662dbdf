from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.onnx_passes.small_models import build, check, node
from tests.compiler.onnx_passes.test_fold_batch_norm import (
    SEEDS,
    SETTINGS,
    batch_norm,
    batch_norm_weights,
    numbers,
)


@SETTINGS
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_case_1_branches_take_their_part(seed: int, sizes: list[int]) -> None:
    generator = np.random.default_rng(seed)
    weights = batch_norm_weights(generator, sum(sizes))
    nodes = []
    for index, size in enumerate(sizes):
        weights[f"w{index}"] = numbers(generator, size, 3, 1, 1)
        nodes.append(node("Conv", ["x", f"w{index}"], [f"c{index}"]))
    names = [f"c{index}" for index in range(len(sizes))]
    nodes += [node("Concat", names, ["c"], axis=1), batch_norm("c", "y")]
    counts = check(build(nodes, {"x": [2, 3, 4, 4]}, ["y"], weights), seed=seed)
    assert counts == {"Conv": len(sizes), "Concat": 1}


@SETTINGS
@given(seed=SEEDS)
def test_case_1_nested_and_of_matrix_products(seed: int) -> None:
    generator = np.random.default_rng(seed)
    weights = {
        "w0": numbers(generator, 3, 2),
        "w1": numbers(generator, 3, 4),
        "w2": numbers(generator, 3, 1),
        "b2": numbers(generator, 1),
        **batch_norm_weights(generator, 7),
    }
    nodes = [
        node("MatMul", ["x", "w0"], ["p0"]),
        node("Gemm", ["x", "w1"], ["p1"]),
        node("Concat", ["p0", "p1"], ["inner"], axis=-1),
        node("Gemm", ["x", "w2", "b2"], ["p2"]),
        node("Concat", ["p2", "inner"], ["c"], axis=1),
        batch_norm("c", "y"),
    ]
    counts = check(build(nodes, {"x": [5, 3]}, ["y"], weights), seed=seed)
    assert counts == {"MatMul": 1, "Add": 1, "Gemm": 2, "Concat": 2}


@SETTINGS
@given(seed=SEEDS, axis=st.sampled_from([2, 3, -1]))
def test_case_2_concat_along_another_axis(seed: int, axis: int) -> None:
    generator = np.random.default_rng(seed)
    weights = {
        "w0": numbers(generator, 4, 3, 1, 1),
        "w1": numbers(generator, 4, 3, 1, 1),
        **batch_norm_weights(generator, 4),
    }
    nodes = [
        node("Conv", ["x", "w0"], ["c0"]),
        node("Conv", ["x", "w1"], ["c1"]),
        node("Concat", ["c0", "c1"], ["c"], axis=axis),
        batch_norm("c", "y"),
    ]
    counts = check(build(nodes, {"x": [2, 3, 4, 4]}, ["y"], weights), seed=seed)
    assert counts == {"Conv": 2, "Concat": 1}


def test_branch_that_cannot_fold_leaves_all() -> None:
    generator = np.random.default_rng(0)
    weights = {"w0": numbers(generator, 4, 3, 1, 1), **batch_norm_weights(generator, 7)}
    nodes = [
        node("Conv", ["x", "w0"], ["c0"]),
        node("Concat", ["c0", "x"], ["c"], axis=1),
        batch_norm("c", "y"),
    ]
    counts = check(build(nodes, {"x": [2, 3, 4, 4]}, ["y"], weights))
    assert counts == {"Conv": 1, "Concat": 1, "Mul": 1, "Add": 1}


def test_branch_that_is_read_twice_leaves_all() -> None:
    generator = np.random.default_rng(0)
    weights = {
        "w0": numbers(generator, 4, 3, 1, 1),
        "w1": numbers(generator, 4, 3, 1, 1),
        **batch_norm_weights(generator, 8),
    }
    nodes = [
        node("Conv", ["x", "w0"], ["c0"]),
        node("Conv", ["x", "w1"], ["c1"]),
        node("Concat", ["c0", "c1"], ["c"], axis=1),
        batch_norm("c", "y"),
        node("Relu", ["c0"], ["z"]),
    ]
    counts = check(build(nodes, {"x": [2, 3, 4, 4]}, ["y", "z"], weights))
    assert counts == {"Conv": 2, "Concat": 1, "Mul": 1, "Add": 1, "Relu": 1}
