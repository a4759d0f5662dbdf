from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from edgewright.compiler.analysis import analyse, unsupported
from edgewright.compiler.onnx_passes import load_model, prepare
from edgewright.compiler.onnx_passes.guard import Refusal
from edgewright.spec.errors import ModelError
from edgewright.spec.tensor import TensorSpec
from tests.compiler.onnx_passes.small_models import build, node
from tests.light_models import light_model_path


def ones(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.ones(shape, np.float32)


def test_convolution() -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], group=2, name="conv"),
        node("Relu", ["c"], ["y"]),
    ]
    model = build(nodes, {"x": [1, 4, 6, 6]}, ["y"], {"w": ones(8, 2, 3, 3), "b": ones(8)})
    found = analyse(ir.from_proto(model))
    conv = found.nodes[0]
    assert conv.name == "conv" and conv.op == "Conv"
    assert conv.inputs == ((1, 4, 6, 6),) and conv.outputs == ((1, 8, 4, 4),)
    assert conv.macs == 8 * 4 * 4 * 2 * 3 * 3
    assert conv.parameters == 8 * 2 * 3 * 3 + 8
    assert conv.activation_bytes == 8 * 4 * 4 * 4
    assert found.macs == conv.macs
    assert found.parameters == conv.parameters and found.parameter_bytes == 4 * conv.parameters
    assert found.activation_bytes == 2 * conv.activation_bytes
    assert found.largest_activation_bytes == conv.activation_bytes
    assert found.operators == {"Conv": 1, "Relu": 1}
    assert found.inputs == (TensorSpec("x", (1, 4, 6, 6), "float32"),)
    assert found.outputs == (TensorSpec("y", (1, 8, 4, 4), "float32"),)
    assert found.opset == 18


@pytest.mark.parametrize(
    ("op_type", "shapes", "attributes", "macs"),
    [
        ("ConvTranspose", ([1, 4, 5, 5], [4, 3, 2, 2]), {"group": 2}, 100 * 3 * 4),
        ("Gemm", ([5, 3], [5, 4]), {"transA": 1}, 3 * 4 * 5),
        ("Gemm", ([3, 5], [4, 5]), {"transB": 1}, 3 * 4 * 5),
        ("MatMul", ([2, 3, 5], [5, 4]), {}, 2 * 3 * 4 * 5),
        ("Einsum", ([2, 3, 5], [2, 5, 4]), {"equation": "bij,bjk->bik"}, 2 * 3 * 4 * 5),
        ("Einsum", ([2, 3, 5], [2, 5, 4]), {"equation": "...ij,...jk->...ik"}, 0),
        ("Add", ([2, 3], [2, 3]), {}, 0),
    ],
)
def test_formulas(
    op_type: str, shapes: tuple[list[int], list[int]], attributes: dict[str, int], macs: int
) -> None:
    nodes = [node(op_type, ["x", "w"], ["y"], **attributes)]
    model = build(nodes, {"x": shapes[0], "w": shapes[1]}, ["y"])
    assert analyse(ir.from_proto(model)).macs == macs


def test_shared_weights_count_once() -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "w"], ["y"])]
    found = analyse(ir.from_proto(build(nodes, {"x": [2, 3]}, ["y"], {"w": ones(3, 3)})))
    assert found.parameters == 9
    assert [item.parameters for item in found.nodes] == [9, 9]


def test_json() -> None:
    model = build([node("Relu", ["x"], ["y"])], {"x": [2, 3]}, ["y"])
    found = json.loads(json.dumps(analyse(ir.from_proto(model)).to_json()))
    assert found["nodes"][0]["name"] == "Relu:y"
    assert found["outputs"] == [{"name": "y", "shape": [2, 3], "dtype": "float32"}]


def test_the_argument_is_left() -> None:
    model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [2, 3]}, ["y"]))
    before = ir.to_proto(model).SerializeToString()
    analyse(model)
    unsupported(model)
    assert ir.to_proto(model).SerializeToString() == before


def test_squeezenet() -> None:
    found = analyse(prepare(load_model(light_model_path("squeezenet"))))
    # 0.35 GMACs and 1.24 million parameters: SqueezeNet's README.
    assert found.macs == 349_151_936
    assert 1_235_000 < found.parameters < 1_236_000
    assert unsupported(load_model(light_model_path("squeezenet"))) == []


def test_unsupported_lists_everything() -> None:
    nodes = [node("Det", ["x"], ["d"], name="first"), node("NonZero", ["x"], ["n"], name="second")]
    model = ir.from_proto(build(nodes, {"x": [3, 3]}, ["d", "n"]))
    assert unsupported(model) == [
        Refusal("first", "Det", "the operator is not supported"),
        Refusal("second", "NonZero", "the shape of its result depends on data"),
    ]


def test_unsupported_upgrade_is_a_refusal() -> None:
    outputs = ["y", "m", "v", "sm", "sv"]
    nodes = [node("BatchNormalization", ["x", *"abcd"], outputs)]
    weights = {name: ones(3) for name in "abcd"}
    model = ir.from_proto(build(nodes, {"x": [1, 3, 4, 4]}, outputs, weights, opset=9))
    found = unsupported(model)
    assert [item.operator for item in found] == ["model"]
    assert "cannot be upgraded from opset 9 to 18" in found[0].reason


def test_contradiction_is_an_error() -> None:
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    model = ir.from_proto(build(nodes, {"x": [2, 3], "w": [3, 4]}, ["y"]))
    model.graph.inputs[0].shape = ir.Shape([2, 5])
    with pytest.raises(ModelError, match="contradict each other"):
        analyse(model)
