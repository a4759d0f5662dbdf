"""Rewrites of single operators against onnxruntime, and against numpy where it has none."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.narrow_concat import MOST_OPERANDS
from tests.compiler.onnx_passes.small_models import Array, build, node, run

rng = np.random.default_rng(5)
FLOAT16, BOOL = onnx.TensorProto.FLOAT16, onnx.TensorProto.BOOL
UINT8, INT8 = onnx.TensorProto.UINT8, onnx.TensorProto.INT8


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    proto = ir.to_proto(prepare(ir.from_proto(model)))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def operators(model: onnx.ModelProto) -> set[str]:
    return {each.op_type for each in model.graph.node}


def test_old_slopes_belong_to_channels() -> None:
    slopes = np.float32([0.5, 0.25, 2.0])
    model = build(
        [node("PRelu", ["x", "s"], ["y"])], {"x": [2, 3, 3]}, ["y"], {"s": slopes}, opset=6
    )
    x = rng.standard_normal((2, 3, 3)).astype(np.float32)
    (y,) = run(prepared(model), {"x": x})
    np.testing.assert_allclose(y, np.where(x < 0, x * slopes[:, None], x), rtol=1e-6)


def test_empty_parts_are_left_out() -> None:
    weights = {"sizes": np.array([3, 0, 2]), "none": np.zeros((2, 0), np.float32)}
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b", "c"], axis=1),
        node("Concat", ["c", "b", "none", "a"], ["y"], axis=1),
    ]
    model = build(nodes, {"x": [2, 5]}, ["y"], weights)
    result = prepared(model)
    assert not any(
        0 in [dim.dim_value for dim in v.type.tensor_type.shape.dim]
        for v in result.graph.value_info
    )
    x = rng.standard_normal((2, 5)).astype(np.float32)
    assert np.array_equal(run(result, {"x": x})[0], run(model, {"x": x})[0])


def test_a_split_that_moves_everything_is_none() -> None:
    weights = {"sizes": np.array([0, 5])}
    nodes = [node("Split", ["x", "sizes"], ["a", "b"], axis=1), node("Relu", ["b"], ["y"])]
    model = build(nodes, {"x": [2, 5]}, ["y"], weights)
    assert operators(prepared(model)) == {"Relu"}


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_reductions_of_truth_values(op: str) -> None:
    model = build(
        [node(op, ["x", "a"], ["y"], keepdims=0)],
        {"x": [4, 2]},
        ["y"],
        {"a": np.array([1])},
        opset=20,
        dtype=BOOL,
    )
    x = np.array([[1, 1], [0, 1], [1, 0], [0, 0]], bool)
    (y,) = run(prepared(model), {"x": x})
    assert y.dtype == bool
    assert np.array_equal(y, x.max(axis=1) if op == "ReduceMax" else x.min(axis=1))


def test_sums_of_float16_are_float32() -> None:
    model = build(
        [node("ReduceSum", ["x", "a"], ["y"], keepdims=0)],
        {"x": [2, 5000]},
        ["y"],
        {"a": np.array([1])},
        dtype=FLOAT16,
    )
    result = prepared(model)
    assert operators(result) == {"Cast", "ReduceSum"}
    x = np.full((2, 5000), 1.001, np.float16)
    (y,) = run(result, {"x": x})
    assert y.dtype == np.float16
    exact = x.astype(np.float64).sum(axis=1)
    np.testing.assert_allclose(y.astype(np.float64), exact, rtol=5e-4)


def test_float16_is_rounded_where_it_is_stored() -> None:
    weights = {"w": rng.standard_normal((8, 8)).astype(np.float16)}
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("MatMul", ["r", "w"], ["m"]),
        node("Add", ["m", "x"], ["a"]),
        node("Transpose", ["a"], ["t"], perm=[1, 0]),
        node("Softmax", ["t"], ["y"]),
    ]
    model = build(nodes, {"x": [8, 8]}, ["y"], weights, dtype=FLOAT16)
    result = prepared(model)
    rounded = [
        each.output[0]
        for each in result.graph.node
        if each.op_type == "Cast" and each.attribute[0].i == FLOAT16
    ]
    assert rounded == ["a", "y"]
    x = rng.standard_normal((8, 8)).astype(np.float16)
    logits = (np.maximum(x, 0).astype(np.float64) @ weights["w"] + x).T
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact = exponents / exponents.sum(axis=1, keepdims=True)
    # A logit below 8 is rounded by at most 2**-9, a probability by 2**-11 of its size.
    assert np.abs(logits).max() < 8
    np.testing.assert_allclose(run(result, {"x": x})[0], exact, rtol=2 * 2**-9 + 2**-11)


def quantized(shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
    info = np.iinfo(dtype)
    return rng.integers(info.min, int(info.max) + 1, shape).astype(dtype)


@pytest.mark.parametrize("channels", [3, 40])  # 40 * 9 products of 16 bits do not fit a float32
def test_quantized_convolution(channels: int) -> None:
    weights = {
        "xs": np.float32(0.02), "xz": np.uint8(120),
        "w": quantized((4, channels, 3, 3), np.int8),
        "ws": np.float32([0.01, 0.02, 0.005, 0.01]), "wz": np.zeros(4, np.int8),
        "ys": np.float32(0.7), "yz": np.uint8(100),
        "b": rng.integers(-9999, 9999, 4).astype(np.int32),
    }  # fmt: skip
    nodes = [node("QLinearConv", ["x", *weights], ["y"], pads=[1, 1, 0, 1], strides=[2, 1])]
    model = build(nodes, {"x": [1, channels, 7, 6]}, ["y"], weights, dtype=UINT8)
    feeds = {"x": quantized((1, channels, 7, 6), np.uint8)}
    (want,) = run(model, feeds)
    # onnxruntime has no convolution in float64.
    (got,) = ReferenceEvaluator(prepared(model)).run(None, feeds)
    assert got.dtype == np.uint8
    # Where a real number lies half-way, its last bit decides.
    assert np.abs(got.astype(int) - want).max() <= 1
    assert np.mean(got != want) < 0.01


def test_integer_convolution() -> None:
    weights = {"w": quantized((2, 3, 2, 2), np.uint8), "xz": np.uint8(7), "wz": np.uint8(130)}
    nodes = [node("ConvInteger", ["x", *weights], ["y"], pads=[1, 0, 1, 0])]
    model = build(nodes, {"x": [1, 3, 5, 4]}, ["y"], weights, dtype=UINT8)
    feeds = {"x": quantized((1, 3, 5, 4), np.uint8)}
    assert np.array_equal(run(prepared(model), feeds)[0], run(model, feeds)[0])


def test_quantized_matrix_product() -> None:
    weights = {
        "as": np.float32(0.01), "az": np.int8(3), "b": quantized((6, 5), np.int8),
        "bs": np.float32([0.02, 0.01, 0.03, 0.02, 0.01]), "bz": np.zeros(5, np.int8),
        "ys": np.float32(0.3), "yz": np.int8(-4),
    }  # fmt: skip
    model = build(
        [node("QLinearMatMul", ["x", *weights], ["y"])], {"x": [4, 6]}, ["y"], weights, dtype=INT8
    )
    feeds = {"x": quantized((4, 6), np.int8)}
    (want,), (got,) = run(model, feeds), run(prepared(model), feeds)
    assert got.dtype == np.int8 and np.abs(got.astype(int) - want).max() <= 1


@pytest.mark.parametrize("count", [64, 65, 500])
def test_wide_concatenations_are_made_in_steps(count: int) -> None:
    nodes = [node("Split", ["x"], [f"p{i}" for i in range(count)], axis=1, num_outputs=count)]
    nodes += [node("Relu", [f"p{i}"], [f"r{i}"]) for i in range(count)]
    nodes += [node("Concat", [f"r{i}" for i in reversed(range(count))], ["y"], axis=1)]
    model = build(nodes, {"x": [2, count]}, ["y"])
    result = prepared(model)
    widest = max(len(each.input) for each in result.graph.node if each.op_type == "Concat")
    assert widest <= MOST_OPERANDS
    x = rng.standard_normal((2, count)).astype(np.float32)
    assert np.array_equal(run(result, {"x": x})[0], np.maximum(x, 0)[:, ::-1])


POSITION = {"one": np.array(1), "last": np.array(-1), "sizes": np.array([1, 3])}


@pytest.mark.parametrize(
    "nodes",
    [
        [
            node("SequenceConstruct", ["x", "z"], ["s"]),
            node("SequenceInsert", ["s", "x", "one"], ["t"]),
            node("SequenceErase", ["t", "last"], ["u"]),
            node("SequenceAt", ["u", "one"], ["y"]),
        ],
        [
            node("SequenceEmpty", [], ["e"]),
            node("SequenceInsert", ["e", "x"], ["s"]),
            node("SequenceInsert", ["s", "z"], ["t"]),
            node("ConcatFromSequence", ["t"], ["y"], axis=-1, new_axis=1),
        ],
        [
            node("SplitToSequence", ["x", "sizes"], ["s"], axis=0),
            node("SequenceAt", ["s", "last"], ["y"]),
        ],
        [
            node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0),
            node("ConcatFromSequence", ["s"], ["y"], axis=0),
        ],
        [node("SplitToSequence", ["x", "one"], ["s"]), node("SequenceLength", ["s"], ["y"])],
    ],
)
def test_sequences_of_known_members(nodes: list[onnx.NodeProto]) -> None:
    read = {name for each in nodes for name in each.input}
    weights = {name: array for name, array in POSITION.items() if name in read}
    model = build(nodes, {"x": [4, 3], "z": [4, 3]}, ["y"], weights)
    feeds = {name: rng.standard_normal((4, 3)).astype(np.float32) for name in "xz"}
    result = prepared(model)
    assert not any("equence" in each.op_type for each in result.graph.node)
    assert np.array_equal(run(result, feeds)[0], run(model, feeds)[0])


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [1, -2, -1])
def test_a_cache_is_updated_in_place(mode: str, axis: int) -> None:
    shape, update = [2, 5, 6, 7], [2, 5, 6, 7]
    update[axis] = 3
    begins = np.array([1, 2 if mode == "linear" else 4])
    nodes = [node("TensorScatter", ["x", "u", "b"], ["y"], axis=axis, mode=mode)]
    u = rng.standard_normal(update).astype(np.float32)
    model = build(nodes, {"x": shape}, ["y"], {"u": u, "b": begins}, opset=24)
    x = rng.standard_normal(shape).astype(np.float32)
    expected = x.copy()
    for sample, begin in enumerate(begins):
        for step in range(3):
            place = (begin + step) % shape[axis]
            np.moveaxis(expected[sample], axis if axis < 0 else axis - 1, 0)[place] = np.moveaxis(
                u[sample], axis if axis < 0 else axis - 1, 0
            )[step]
    np.testing.assert_array_equal(run(prepared(model), {"x": x})[0], expected)
