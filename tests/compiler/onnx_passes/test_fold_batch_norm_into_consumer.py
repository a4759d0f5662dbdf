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
@given(
    seed=SEEDS,
    rank=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 3]),
    ic_group=st.integers(1, 3),
    oc_group=st.integers(1, 3),
    biased=st.booleans(),
    auto_pad=st.sampled_from(["NOTSET", "VALID"]),
)
def test_case_1_convolution_without_padding(
    seed: int, rank: int, groups: int, ic_group: int, oc_group: int, biased: bool, auto_pad: str
) -> None:
    generator = np.random.default_rng(seed)
    ic, oc = ic_group * groups, oc_group * groups
    weights = {
        "w": numbers(generator, oc, ic_group, *[2] * rank),
        **batch_norm_weights(generator, ic),
    }
    inputs = ["n", "w"]
    if biased:
        weights["b"] = numbers(generator, oc)
        inputs.append("b")
    nodes = [
        node("Relu", ["x"], ["r"]),
        batch_norm("r", "n"),
        node("Conv", inputs, ["y"], group=groups, auto_pad=auto_pad),
    ]
    model = build(nodes, {"x": [2, ic, *[4] * rank]}, ["y"], weights)
    assert check(model, seed=seed) == {"Relu": 1, "Conv": 1}


@SETTINGS
@given(seed=SEEDS, groups=st.sampled_from([1, 2, 4]))
def test_case_2_scale_before_padded_convolution(seed: int, groups: int) -> None:
    generator = np.random.default_rng(seed)
    weights = {"w": numbers(generator, 8, 4 // groups, 3, 3), "k": numbers(generator, 4, 1, 1)}
    nodes = [
        node("Mul", ["x", "k"], ["n"]),
        node("Conv", ["n", "w"], ["y"], group=groups, pads=[1, 1, 1, 1]),
    ]
    assert check(build(nodes, {"x": [1, 4, 5, 5]}, ["y"], weights), seed=seed) == {"Conv": 1}


def test_shift_before_padded_convolution_is_left() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 8, 4, 3, 3), **batch_norm_weights(generator, 4)}
    nodes = [batch_norm("x", "n"), node("Conv", ["n", "w"], ["y"], pads=[0, 0, 1, 0])]
    counts = check(build(nodes, {"x": [1, 4, 5, 5]}, ["y"], weights))
    assert counts == {"Mul": 1, "Add": 1, "Conv": 1}


@SETTINGS
@given(
    seed=SEEDS,
    trans_b=st.integers(0, 1),
    alpha=st.sampled_from([1.0, 0.5]),
    beta=st.sampled_from([1.0, 2.0]),
    bias=st.sampled_from([None, (), (5,), (3, 1)]),
)
def test_case_3_gemm(
    seed: int, trans_b: int, alpha: float, beta: float, bias: tuple[int, ...] | None
) -> None:
    generator = np.random.default_rng(seed)
    weights = {
        "w": numbers(generator, *((5, 4) if trans_b else (4, 5))),
        **batch_norm_weights(generator, 4),
    }
    inputs = ["n", "w"]
    if bias is not None:
        weights["b"] = np.asarray(generator.standard_normal(bias), np.float32)
        inputs.append("b")
    gemm = node("Gemm", inputs, ["y"], transB=trans_b, alpha=alpha, beta=beta)
    model = build([batch_norm("x", "n"), gemm], {"x": [3, 4]}, ["y"], weights)
    assert check(model, seed=seed) == {"Gemm": 1}


@SETTINGS
@given(seed=SEEDS)
def test_case_3_matrix_product(seed: int) -> None:
    generator = np.random.default_rng(seed)
    weights = {
        "w": numbers(generator, 4, 5),
        "k": numbers(generator, 4),
        "m": numbers(generator, 4),
    }
    nodes = [
        node("Sub", ["x", "m"], ["c"]),
        node("Mul", ["c", "k"], ["n"]),
        node("MatMul", ["n", "w"], ["y"]),
    ]
    counts = check(build(nodes, {"x": [2, 3, 4]}, ["y"], weights), seed=seed)
    assert counts == {"MatMul": 1, "Add": 1}


def test_all_readers_fold_or_none() -> None:
    generator = np.random.default_rng(0)
    weights = {
        "w0": numbers(generator, 2, 4, 1, 1),
        "w1": numbers(generator, 3, 4, 2, 2),
        **batch_norm_weights(generator, 4),
    }
    both = [
        batch_norm("x", "n"),
        node("Conv", ["n", "w0"], ["y"]),
        node("Conv", ["n", "w1"], ["z"]),
    ]
    model = build(both, {"x": [1, 4, 5, 5]}, ["y", "z"], weights)
    assert check(model) == {"Conv": 2}
    third = node("Sigmoid", ["n"], ["s"])
    model = build([*both, third], {"x": [1, 4, 5, 5]}, ["y", "z", "s"], weights)
    assert check(model) == {"Conv": 2, "Sigmoid": 1, "Mul": 1, "Add": 1}


def test_other_readers_of_the_source_do_not_matter() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 4, 4, 1, 1), **batch_norm_weights(generator, 4)}
    nodes = [
        batch_norm("x", "n"),
        node("Conv", ["n", "w"], ["c"]),
        node("Add", ["c", "x"], ["y"]),
    ]
    counts = check(build(nodes, {"x": [1, 4, 5, 5]}, ["y"], weights))
    assert counts == {"Conv": 1, "Add": 1}
