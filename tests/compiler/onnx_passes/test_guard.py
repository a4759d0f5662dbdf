from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from edgewright.compiler.onnx_passes import find_refusals, prepare
from edgewright.compiler.onnx_passes.guard import Refusal
from edgewright.compiler.onnx_passes.supported_operators import SUPPORTED
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.small_models import build, node


def message(model: onnx.ModelProto) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        prepare(ir.from_proto(model))
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_all_offenders_are_in_one_report() -> None:
    nodes = [
        node("Det", ["x"], ["d"], name="first"),
        node("NonZero", ["x"], ["n"], name="second"),
        node("LpPool", ["x"], ["p"], name="third", kernel_shape=[2], ceil_mode=1),
    ]
    text = message(build(nodes, {"x": [3, 4, 4]}, ["d", "n", "p"]))
    assert "the model has 3 things that cannot be compiled: " in text
    assert "Det 'first': the operator is not supported; " in text
    assert "NonZero 'second': the shape of its result depends on data; " in text
    assert "LpPool 'third': ceil_mode=1 is computed wrongly" in text


@pytest.mark.parametrize(
    ("dtype", "spelled"),
    [
        (onnx.TensorProto.STRING, "string"),
        (onnx.TensorProto.COMPLEX64, "complex64"),
        (onnx.TensorProto.BFLOAT16, "bfloat16"),
        (onnx.TensorProto.FLOAT8E4M3FN, "float8e4m3fn"),
        (onnx.TensorProto.INT4, "int4"),
    ],
)
def test_element_types(dtype: int, spelled: str) -> None:
    model = build([node("Identity", ["x"], ["y"])], {"x": [2]}, ["y"], opset=21, dtype=dtype)
    text = message(model)
    assert f"input 'x': has the element type {spelled}, which is not supported" in text


def test_sequences_read_at_a_computed_position() -> None:
    nodes = [
        node("SequenceConstruct", ["x", "x"], ["s"], name="s"),
        node("ArgMax", ["x"], ["p"], keepdims=0),
        node("SequenceAt", ["s", "p"], ["y"]),
    ]
    assert "SequenceConstruct 's': the operator is not supported" in message(
        build(nodes, {"x": [2]}, ["y"])
    )


def test_loops() -> None:
    info = [
        helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
        helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
        helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [2]),
    ]
    result = helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [2])
    kept = helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, [])
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Neg", ["a"], ["b"])], "body", info, [kept, result]
    )
    loop = node("Loop", ["n", "", "x"], ["y"], name="loop", body=body)
    model = build([loop], {"x": [2], "n": []}, ["y"])
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert "Loop 'loop': its trip count 'n' is known at run time only" in message(model)


def test_run_time_shape() -> None:
    model = build([node("Reshape", ["x", "s"], ["y"], name="r")], {"x": [2, 3], "s": [1]}, ["y"])
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert "Reshape 'r': its input 's' must be constant" in message(model)


def test_overflowing_value() -> None:
    nodes = [node("Expand", ["x", "s"], ["y"], name="e")]
    model = build(nodes, {"x": [1]}, ["y"], {"s": np.array([65536, 65536], np.int64)})
    assert "Expand 'e': 'y' has 4294967296 elements, and at most 2147483647" in message(model)


def test_other_domain() -> None:
    model = ir.from_proto(build([node("Relu", ["x"], ["y"], name="r")], {"x": [1]}, ["y"]))
    relu = next(iter(model.graph))
    relu.domain = "mine"
    refusal = Refusal("r", "mine.Relu", "only ONNX's own operators are supported")
    assert find_refusals(model) == [refusal]
    assert str(refusal) == "mine.Relu 'r': only ONNX's own operators are supported"


def test_random_numbers_are_refused() -> None:
    model = build([node("Bernoulli", ["x"], ["y"], name="b")], {"x": [1, 2]}, ["y"])
    assert "Bernoulli 'b': the operator is not supported" in message(model)


@pytest.mark.parametrize("rank", [2, 6])
def test_convolution_rank(rank: int) -> None:
    model = ir.from_proto(
        build([node("Conv", ["x", "w"], ["y"], name="c")], {"x": [1, 1, 4], "w": [1, 1, 1]}, ["y"])
    )
    for value in (*model.graph.inputs, next(iter(model.graph)).outputs[0]):
        value.shape = ir.Shape([1] * rank)
    assert find_refusals(model)[0].reason.startswith(f"its input has {rank} dimensions")


def test_transposed_convolution_with_wide_output_padding() -> None:
    attributes = {"strides": [2, 2], "output_shape": [14, 14]}
    nodes = [node("ConvTranspose", ["x", "w"], ["y"], name="c", **attributes)]
    weights = {"w": np.ones((1, 1, 3, 3), np.float32)}
    text = message(build(nodes, {"x": [1, 1, 5, 5]}, ["y"], weights))
    assert "its output_padding 3 is not smaller than its stride 2" in text


def test_quantization_by_blocks() -> None:
    nodes = [node("DequantizeLinear", ["x", "s"], ["y"], name="q", axis=1, block_size=2)]
    model = build(
        nodes, {"x": [2, 4]}, ["y"], {"s": np.ones((2, 2), np.float32)}, opset=21,
        dtype=onnx.TensorProto.INT8,
    )  # fmt: skip
    assert "DequantizeLinear 'q': its attribute block_size is not supported" in message(model)


def test_group_normalization_of_doubles_is_written_out() -> None:
    weights = {"s": np.ones(2), "b": np.ones(2)}
    nodes = [node("GroupNormalization", ["x", "s", "b"], ["y"], name="g", num_groups=2)]
    model = build(nodes, {"x": [1, 4, 3]}, ["y"], weights, dtype=onnx.TensorProto.DOUBLE)
    operators = {each.op_type for each in prepare(ir.from_proto(model)).graph}
    assert "GroupNormalization" not in operators and operators <= SUPPORTED


def test_sampling_of_volumes() -> None:
    nodes = [node("GridSample", ["x", "g"], ["y"], name="g", mode="cubic")]
    model = build(nodes, {"x": [1, 1, 2, 3, 4], "g": [1, 2, 3, 4, 3]}, ["y"], opset=20)
    assert "cubic sampling of volumes" in message(model)


def test_unpooling_to_a_shape() -> None:
    nodes = [node("MaxUnpool", ["x", "i", "s"], ["y"], name="u", kernel_shape=[2, 2])]
    weights = {"i": np.zeros((1, 1, 2, 2), np.int64), "s": np.array([1, 1, 4, 4], np.int64)}
    text = message(build(nodes, {"x": [1, 1, 2, 2]}, ["y"], weights))
    assert "MaxUnpool 'u': its input output_shape is not supported" in text


def test_a_model_that_can_be_compiled() -> None:
    model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"]))
    assert find_refusals(model) == []
