from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.graph_edits import original_nodes
from tests.compiler.onnx_passes.small_models import Array, build, check, node, operators

SETTINGS = settings(max_examples=15, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**16)


def batch_norm_weights(generator: np.random.Generator, channels: int) -> dict[str, Array]:
    return {
        "gamma": generator.uniform(-2, 2, channels).astype(np.float32),
        "beta": generator.uniform(-2, 2, channels).astype(np.float32),
        "mean": generator.uniform(-2, 2, channels).astype(np.float32),
        "variance": generator.uniform(0.01, 4, channels).astype(np.float32),
    }


def batch_norm(source: str, result: str, **attributes: Any) -> onnx.NodeProto:
    inputs = [source, "gamma", "beta", "mean", "variance"]
    return node("BatchNormalization", inputs, [result], name="bn", **attributes)


def numbers(generator: np.random.Generator, *shape: int) -> Array:
    return generator.standard_normal(shape).astype(np.float32)


@SETTINGS
@given(
    seed=SEEDS,
    rank=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 3]),
    ic_group=st.integers(1, 3),
    oc_group=st.integers(1, 3),
    kernel=st.integers(1, 3),
    biased=st.booleans(),
    epsilon=st.sampled_from([1e-5, 1e-3]),
)
def test_case_1_convolution(
    seed: int,
    rank: int,
    groups: int,
    ic_group: int,
    oc_group: int,
    kernel: int,
    biased: bool,
    epsilon: float,
) -> None:
    generator = np.random.default_rng(seed)
    oc = oc_group * groups
    weights = {
        "w": numbers(generator, oc, ic_group, *[kernel] * rank),
        **batch_norm_weights(generator, oc),
    }
    if biased:
        weights["b"] = numbers(generator, oc)
    conv = node(
        "Conv", ["x", "w", "b"] if biased else ["x", "w"], ["c"], group=groups, pads=[1] * 2 * rank
    )
    shape = {"x": [2, ic_group * groups, *[4] * rank]}
    counts = check(
        build([conv, batch_norm("c", "y", epsilon=epsilon)], shape, ["y"], weights), seed=seed
    )
    assert counts == {"Conv": 1}


@SETTINGS
@given(seed=SEEDS, channels=st.integers(1, 9), multiplier=st.integers(1, 2), biased=st.booleans())
def test_case_1_depthwise(seed: int, channels: int, multiplier: int, biased: bool) -> None:
    generator = np.random.default_rng(seed)
    oc = channels * multiplier
    weights = {"w": numbers(generator, oc, 1, 3, 3), **batch_norm_weights(generator, oc)}
    inputs = ["x", "w"]
    if biased:
        weights["b"] = numbers(generator, oc)
        inputs.append("b")
    conv = node("Conv", inputs, ["c"], group=channels, strides=[2, 1])
    model = build([conv, batch_norm("c", "y")], {"x": [1, channels, 5, 6]}, ["y"], weights)
    assert check(model, seed=seed) == {"Conv": 1}


@SETTINGS
@given(
    seed=SEEDS,
    rank=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 3]),
    ic_group=st.integers(1, 3),
    oc_group=st.integers(1, 3),
    biased=st.booleans(),
)
def test_case_2_transposed_convolution(
    seed: int, rank: int, groups: int, ic_group: int, oc_group: int, biased: bool
) -> None:
    generator = np.random.default_rng(seed)
    ic, oc = ic_group * groups, oc_group * groups
    weights = {
        "w": numbers(generator, ic, oc_group, *[3] * rank),
        **batch_norm_weights(generator, oc),
    }
    inputs = ["x", "w"]
    if biased:
        weights["b"] = numbers(generator, oc)
        inputs.append("b")
    conv = node("ConvTranspose", inputs, ["c"], group=groups, strides=[2] * rank)
    model = build([conv, batch_norm("c", "y")], {"x": [2, ic, *[3] * rank]}, ["y"], weights)
    assert check(model, seed=seed) == {"ConvTranspose": 1}


@SETTINGS
@given(
    seed=SEEDS,
    trans_a=st.integers(0, 1),
    trans_b=st.integers(0, 1),
    alpha=st.sampled_from([1.0, 0.5, -2.0]),
    beta=st.sampled_from([1.0, 0.25, 0.0]),
    bias=st.sampled_from([None, (), (1,), (5,), (1, 5), (3, 1), (3, 5)]),
)
def test_case_3_gemm(
    seed: int,
    trans_a: int,
    trans_b: int,
    alpha: float,
    beta: float,
    bias: tuple[int, ...] | None,
) -> None:
    generator = np.random.default_rng(seed)
    weights = {
        "w": numbers(generator, *((5, 4) if trans_b else (4, 5))),
        **batch_norm_weights(generator, 5),
    }
    inputs = ["x", "w"]
    if bias is not None:
        weights["b"] = np.asarray(generator.standard_normal(bias), np.float32)
        inputs.append("b")
    gemm = node("Gemm", inputs, ["c"], transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)
    shape = {"x": [4, 3] if trans_a else [3, 4]}
    assert check(build([gemm, batch_norm("c", "y")], shape, ["y"], weights), seed=seed) == {
        "Gemm": 1
    }


@SETTINGS
@given(seed=SEEDS, biased=st.booleans(), bias_first=st.booleans())
def test_case_4_matrix_product(seed: int, biased: bool, bias_first: bool) -> None:
    generator = np.random.default_rng(seed)
    weights = {"w": numbers(generator, 4, 5), **batch_norm_weights(generator, 5)}
    nodes = [node("MatMul", ["x", "w"], ["p"])]
    if biased:
        weights["b"] = numbers(generator, 5)
        nodes.append(node("Add", ["b", "p"] if bias_first else ["p", "b"], ["c"]))
    nodes.append(batch_norm("c" if biased else "p", "y"))
    counts = check(build(nodes, {"x": [3, 4]}, ["y"], weights), seed=seed)
    assert counts == {"MatMul": 1, "Add": 1}


@SETTINGS
@given(seed=SEEDS)
def test_case_4_constant_left_factor(seed: int) -> None:
    generator = np.random.default_rng(seed)
    weights = {"w": numbers(generator, 5, 4), **batch_norm_weights(generator, 5)}
    nodes = [node("MatMul", ["w", "x"], ["p"]), batch_norm("p", "y")]
    counts = check(build(nodes, {"x": [2, 4, 7]}, ["y"], weights), seed=seed)
    assert counts == {"MatMul": 1, "Add": 1}


@SETTINGS
@given(
    seed=SEEDS,
    chain=st.lists(
        st.tuples(
            st.sampled_from(["Mul", "Add", "Sub", "Div", "Neg"]),
            st.sampled_from([(5, 1, 1), (1, 5, 1, 1), (), (1,)]),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
    biased=st.booleans(),
)
def test_scale_and_shift_nodes(
    seed: int, chain: list[tuple[str, tuple[int, ...], bool]], biased: bool
) -> None:
    generator = np.random.default_rng(seed)
    weights = {"w": numbers(generator, 5, 3, 2, 2)}
    inputs = ["x", "w"]
    if biased:
        weights["b"] = numbers(generator, 5)
        inputs.append("b")
    nodes = [node("Conv", inputs, ["v0"])]
    for index, (op_type, shape, constant_first) in enumerate(chain):
        source, result = f"v{index}", f"v{index + 1}"
        if op_type == "Neg":
            nodes.append(node("Neg", [source], [result]))
            continue
        weights[f"k{index}"] = np.asarray(generator.uniform(0.5, 2, shape), np.float32)
        pair = [source, f"k{index}"]
        # A constant divided by the data is not affine.
        nodes.append(
            node(op_type, pair[::-1] if constant_first and op_type != "Div" else pair, [result])
        )
    model = build(nodes, {"x": [2, 3, 4, 4]}, [f"v{len(chain)}"], weights)
    assert check(model, seed=seed) == {"Conv": 1}


def test_shared_convolution_stays_single_and_unfolded() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 4, 3, 3, 3), **batch_norm_weights(generator, 4)}
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        batch_norm("c", "n"),
        node("Relu", ["c"], ["r"]),
        node("Add", ["n", "r"], ["y"]),
    ]
    counts = check(build(nodes, {"x": [1, 3, 5, 5]}, ["y"], weights))
    assert counts == {"Conv": 1, "Mul": 1, "Add": 2, "Relu": 1}


def test_convolution_that_is_an_output_stays_unfolded() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 4, 3, 3, 3), **batch_norm_weights(generator, 4)}
    nodes = [node("Conv", ["x", "w"], ["c"]), batch_norm("c", "y")]
    counts = check(build(nodes, {"x": [1, 3, 5, 5]}, ["c", "y"], weights))
    assert counts == {"Conv": 1, "Mul": 1, "Add": 1}


def test_weights_shared_by_two_convolutions_are_folded_apart() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 3, 3, 1, 1), **batch_norm_weights(generator, 3)}
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        batch_norm("c", "n"),
        node("Relu", ["n"], ["r"]),
        node("Conv", ["r", "w"], ["y"]),
    ]
    counts = check(build(nodes, {"x": [1, 3, 5, 5]}, ["y"], weights))
    assert counts == {"Conv": 2, "Relu": 1}


def test_computed_weights_are_left_and_scaled_after() -> None:
    generator = np.random.default_rng(0)
    weights = batch_norm_weights(generator, 4)
    nodes = [node("Conv", ["x", "w"], ["c"]), batch_norm("c", "y")]
    inputs = {"x": [1, 3, 5, 5], "w": [4, 3, 3, 3]}
    assert check(build(nodes, inputs, ["y"], weights)) == {"Conv": 1, "Mul": 1, "Add": 1}


def test_scale_along_another_axis_is_left() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 4, 3, 1, 1), "k": numbers(generator, 5)}
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Mul", ["c", "k"], ["y"])]
    assert check(build(nodes, {"x": [1, 3, 5, 5]}, ["y"], weights)) == {"Conv": 1, "Mul": 1}


def test_constant_that_enlarges_the_result_is_left() -> None:
    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 1, 3, 1, 1), "k": numbers(generator, 1, 4, 1, 1)}
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Mul", ["c", "k"], ["y"])]
    assert check(build(nodes, {"x": [1, 3, 5, 5]}, ["y"], weights)) == {"Conv": 1, "Mul": 1}


@pytest.mark.parametrize("factor", [1e30, np.inf, np.nan])
def test_weights_that_would_overflow_are_left(factor: float) -> None:
    weights: dict[str, Array] = {
        "w": np.full((2, 1, 1, 1), 1e20, np.float32),
        "k": np.full((2, 1, 1), factor, np.float32),
    }
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Mul", ["c", "k"], ["y"])]

    model = build(nodes, {"x": [1, 1, 2, 2]}, ["y"], weights)
    assert operators(prepare(ir.from_proto(model))) == {"Conv": 1, "Mul": 1}


def test_arithmetic_is_float64_rounded_once() -> None:
    generator = np.random.default_rng(0)
    weights = {
        "w": numbers(generator, 6, 5, 3, 3),
        "b": numbers(generator, 6),
        **batch_norm_weights(generator, 6),
    }
    nodes = [node("Conv", ["x", "w", "b"], ["c"]), batch_norm("c", "y")]

    model = prepare(ir.from_proto(build(nodes, {"x": [1, 5, 4, 4]}, ["y"], weights)))
    exact = {name: array.astype(np.float64) for name, array in weights.items()}
    epsilon = float(np.float32(1e-5))
    scale = exact["gamma"] / np.sqrt(exact["variance"] + epsilon)
    bias = exact["b"] * scale + (exact["beta"] - exact["mean"] * scale)
    conv = next(iter(model.graph))
    folded = [value.const_value.numpy() for value in conv.inputs[1:] if value and value.const_value]
    assert np.array_equal(folded[0], (exact["w"] * scale.reshape(-1, 1, 1, 1)).astype(np.float32))
    assert np.array_equal(folded[1], bias.astype(np.float32))


def test_folded_node_names_the_nodes_it_computes() -> None:

    generator = np.random.default_rng(0)
    weights = {"w": numbers(generator, 4, 3, 3, 3), **batch_norm_weights(generator, 4)}
    nodes = [node("Conv", ["x", "w"], ["c"], name="conv1"), batch_norm("c", "y")]
    model = prepare(ir.from_proto(build(nodes, {"x": [1, 3, 5, 5]}, ["y"], weights)))
    conv = next(iter(model.graph))
    assert conv.name == "conv1"
    assert original_nodes(conv) == ["conv1", "bn"]
