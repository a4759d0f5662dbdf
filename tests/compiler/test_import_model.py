"""Our converters say the same as TVM's, in fewer operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgewright.compiler.import_model import import_model
from edgewright.compiler.read_relax import op_name
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.graphs import model, node, weights


def operators(made: onnx.ModelProto) -> list[str]:
    imported = import_model(made)
    blocks = imported.module["main"].body.blocks
    names = [op_name(binding.value) for block in blocks for binding in block.bindings]
    return [name.removeprefix("relax.") for name in names if name]


def scalar(value: float) -> np.ndarray:
    return np.float32(value).reshape(())


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 6.0, ["clip"]),
        (0.0, None, ["nn.relu"]),
        (None, 1.0, ["clip"]),
        (-1.0, None, ["clip"]),
    ],
)
def test_clip_with_constant_bounds_is_one_operator(
    low: float | None, high: float | None, expected: list[str]
) -> None:
    bounds = {"lo": low, "hi": high}
    constants = {name: scalar(value) for name, value in bounds.items() if value is not None}
    names = " ".join("_" if value is None else name for name, value in bounds.items())
    made = model([node("Clip", f"x {names}", "y")], {"x": (4,)}, {"y": (4,)}, constants)
    assert operators(made) == expected


def test_clip_with_computed_bounds_is_left_to_tvm() -> None:
    made = model(
        [node("ReduceMax", "x", "hi", keepdims=0), node("Clip", "x _ hi", "y")],
        {"x": (4,)},
        {"y": (4,)},
    )
    assert "clip" not in operators(made)


def test_gemm_with_constants_is_a_product_and_a_sum() -> None:
    constants = {"w": weights(5, 8), "b": np.ones(5, np.float32)}
    gemm = node("Gemm", "x w b", "y", transB=1, alpha=0.5, beta=2.0)
    assert operators(model([gemm], {"x": (2, 8)}, {"y": (2, 5)}, constants)) == ["matmul", "add"]


def test_a_convolution_with_bias_is_two_operators() -> None:
    constants = {"w": weights(8, 4, 3, 3), "b": np.ones(8, np.float32)}
    made = model([node("Conv", "x w b", "y")], {"x": (1, 4, 6, 6)}, {"y": (1, 8, 4, 4)}, constants)
    assert operators(made) == ["nn.conv2d", "add"]


def test_a_transposed_convolution_with_bias_is_two_operators() -> None:
    constants = {"w": weights(4, 6, 2, 2), "b": np.ones(6, np.float32)}
    up = node("ConvTranspose", "x w b", "y", strides=[2, 2])
    made = model([up], {"x": (1, 4, 3, 3)}, {"y": (1, 6, 6, 6)}, constants)
    assert operators(made) == ["nn.conv2d_transpose", "add"]


def test_a_transposed_convolution_of_a_line_is_one_of_an_image_of_one_row() -> None:
    up = node("ConvTranspose", "x w", "y", strides=[2], pads=[1, 0], output_padding=[1])
    made = model([up], {"x": (1, 4, 5)}, {"y": (1, 6, 11)}, {"w": weights(4, 6, 3)})
    assert operators(made) == ["reshape", "nn.conv2d_transpose", "reshape"]


def test_a_transposed_convolution_with_computed_weights_is_left_to_tvm() -> None:
    inputs = {"x": (1, 4, 5), "w": (4, 6, 3)}
    made = model([node("ConvTranspose", "x w", "y")], inputs, {"y": (1, 6, 7)})
    assert "nn.conv1d_transpose" in operators(made)


def test_a_constant_index_out_of_range_is_refused() -> None:
    made = model(
        [node("Gather", "x i", "y", axis=0)], {"x": (4,)}, {"y": (2,)}, {"i": np.int64([0, 4])}
    )
    with pytest.raises(UnsupportedModelError, match=r"out of range.*axis 0 has 4 elements"):
        import_model(made)


def test_every_operator_knows_its_node() -> None:
    constants = {"w": weights(8, 4, 3, 3), "b": np.ones(8, np.float32)}
    made = model(
        [node("Conv", "x w b", "c"), node("Relu", "c", "y")],
        {"x": (1, 4, 6, 6)},
        {"y": (1, 8, 4, 4)},
        constants,
    )
    imported = import_model(made)
    assert sorted(imported.nodes.values()) == ["node_c", "node_c", "node_y"]
    assert imported.tensors["node_c"] == ("c",)


def test_what_the_importer_refuses_is_named() -> None:
    """The guard stops this before; here it stands for anything that the guard does not know."""
    made = model([node("Celu", "x", "y")], {"x": (4,)}, {"y": (4,)})
    with pytest.raises(UnsupportedModelError, match="Celu of node 'node_y'"):
        import_model(made)
