"""Counts of single operators against what a sheet of paper gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.analysis import ModelAnalysis, NodeAnalysis, analyse
from tests.compiler.onnx_passes.small_models import build, node


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def one(op_type: str, *shapes: tuple[int, ...], opset: int = 18, **attributes: Any) -> NodeAnalysis:
    """The analysis of one node; its first input is given, the others are weights."""
    names = [f"w{index}" if shape else "" for index, shape in enumerate(shapes)]
    weights = {n: ones(*s) for n, s in zip(names[1:], shapes[1:], strict=True) if n}
    model = build(
        [node(op_type, names, ["y"], **attributes)],
        {names[0]: list(shapes[0])},
        ["y"],
        weights,
        opset=opset,
    )
    return analyse(ir.from_proto(model)).nodes[0]


@pytest.mark.parametrize(
    ("extent", "kernel", "stride", "dilation", "padding"),
    [(7, 3, 1, 1, 0), (8, 3, 2, 1, 1), (15, 5, 3, 2, 4), (9, 1, 2, 1, 0), (6, 6, 1, 1, 0)],
)
def test_output_size(extent: int, kernel: int, stride: int, dilation: int, padding: int) -> None:
    found = one(
        *("Conv", (1, 2, extent), (3, 2, kernel)),
        strides=[stride],
        dilations=[dilation],
        pads=[padding, padding],
    )
    size = math.floor((extent + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
    assert found.outputs == ((1, 3, size),)
    assert found.macs == 3 * size * 2 * kernel


def test_transposed_output_size() -> None:
    found = one(
        *("ConvTranspose", (1, 4, 5), (4, 3, 3)),
        strides=[2],
        pads=[1, 0],
        dilations=[2],
        output_padding=[1],
    )
    assert found.outputs == ((1, 3, 2 * 4 + 1 + 2 * 2 + 1 - 1),)
    assert found.macs == 4 * 5 * 3 * 3


@pytest.mark.parametrize(
    ("op_type", "shapes", "attributes", "macs"),
    [
        ("Conv", ((2, 4, 9), (6, 2, 3)), {"group": 2}, 2 * 6 * 7 * 2 * 3),
        ("Conv", ((1, 2, 4, 5, 6), (3, 2, 2, 2, 2)), {}, 3 * 3 * 4 * 5 * 2 * 8),
        ("LSTM", ((5, 2, 3), (1, 16, 3), (1, 16, 4)), {"hidden_size": 4}, 5 * 2 * 4 * 4 * 7),
        ("GRU", ((5, 2, 3), (1, 12, 3), (1, 12, 4)), {"hidden_size": 4}, 5 * 2 * 3 * 4 * 7),
        (
            *("RNN", ((5, 2, 3), (2, 4, 3), (2, 4, 4))),
            {"hidden_size": 4, "direction": "bidirectional"},
            5 * 2 * 2 * 4 * 7,
        ),
    ],
)
def test_macs(
    op_type: str, shapes: tuple[tuple[int, ...], ...], attributes: dict[str, Any], macs: int
) -> None:
    assert one(op_type, *shapes, **attributes).macs == macs


def test_a_recurrent_layer_of_which_only_the_state_is_wanted_counts_too() -> None:
    weights = {"w": ones(1, 12, 3), "r": ones(1, 12, 4)}
    nodes = [node("GRU", ["x", "w", "r"], ["", "h"], hidden_size=4)]
    model = build(nodes, {"x": [5, 2, 3]}, ["h"], weights)
    assert analyse(ir.from_proto(model)).macs == 5 * 2 * 3 * 4 * 7


def test_deformed_taps_count_like_others() -> None:
    found = one("DeformConv", (1, 2, 5, 5), (4, 2, 3, 3), (1, 18, 3, 3), opset=19)
    assert found.macs == 4 * 3 * 3 * 2 * 9


def test_attention_multiplies_queries_and_results_by_every_key() -> None:
    shapes: dict[str, list[int]] = {"q": [2, 3, 5, 8], "k": [2, 3, 7, 8], "v": [2, 3, 7, 6]}
    model = build([node("Attention", ["q", "k", "v"], ["y"])], shapes, ["y"], opset=23)
    found = analyse(ir.from_proto(model)).nodes[0]
    assert found.outputs[0] == (2, 3, 5, 6)
    assert found.macs == 2 * 3 * (5 * 7 * 8 + 5 * 7 * 6)


def test_quantized_products_take_their_own_weights() -> None:
    x, w, i8 = [1, 4, 6, 6], ones(5, 4, 3, 3).astype(np.int8), onnx.TensorProto.INT8
    scale, zero = np.float32(1), np.int8(0)
    names = ["x", "s", "z", "w", "s", "z", "s", "z"]
    weights = {"w": w, "s": np.array(scale), "z": np.array(zero)}
    model = build([node("QLinearConv", names, ["y"])], {"x": x}, ["y"], weights, dtype=i8)
    found = analyse(ir.from_proto(model)).nodes[0]
    assert found.macs == 5 * 4 * 4 * 4 * 9
    assert found.moved_bytes == 4 * 36 + 5 * 36 + 5 * 16 + 4 + 1


def test_intensity_counts_each_tensor_once() -> None:
    found = one("Conv", (1, 4, 6, 6), (8, 4, 3, 3), (8,))
    assert found.moved_bytes == 4 * (4 * 36 + 8 * 36 + 8 + 8 * 16)
    assert found.intensity == pytest.approx(2 * found.macs / found.moved_bytes)
    square = build([node("MatMul", ["x", "x"], ["y"])], {"x": [3, 3]}, ["y"])
    assert analyse(ir.from_proto(square)).nodes[0].moved_bytes == 4 * (9 + 9)
    assert one("Relu", (2, 2)).intensity == 0


def separable(*between: onnx.NodeProto, last: str, **attributes: Any) -> ModelAnalysis:
    nodes = [
        node("Conv", ["x", "w"], ["d"], name="first", group=4, pads=[1, 1, 1, 1]),
        *between,
        node("Conv", [last, "v"], ["y"], name="second", **attributes),
    ]
    groups = attributes.get("group", 1)
    weights = {"w": ones(4, 1, 3, 3), "v": ones(6, 4 // groups, 1, 1), "n": ones(4)}
    return analyse(ir.from_proto(build(nodes, {"x": [1, 4, 8, 8]}, ["y"], weights)))


def test_groups_save_their_number() -> None:
    found = one("Conv", (1, 8, 6, 6), (4, 2, 3, 3), group=4)
    assert found.groups == 4 and found.reduction == 4
    assert found.standard_macs == one("Conv", (1, 8, 6, 6), (4, 8, 3, 3)).macs
    assert one("Gemm", (2, 3), (3, 4)).reduction == 1


@pytest.mark.parametrize(
    "between",
    [
        [],
        [node("BatchNormalization", ["d", *"nnnn"], ["b"]), node("Relu", ["b"], ["e"])],
        [node("Sigmoid", ["d"], ["s"]), node("Mul", ["s", "d"], ["e"])],
    ],
    ids=["nothing", "norm and relu", "silu"],
)
def test_a_separable_pair_is_found(between: list[onnx.NodeProto]) -> None:
    found = separable(*between, last="e" if between else "d")
    (pair,) = found.separable
    assert (pair.depthwise, pair.pointwise) == ("first", "second")
    assert pair.macs == 64 * (4 * 9 + 4 * 6) == found.macs
    assert pair.standard_macs == 64 * 9 * 4 * 6
    assert pair.weights == 4 * 9 + 4 * 6 and pair.standard_weights == 9 * 4 * 6
    assert pair.reduction == pytest.approx(1 / (1 / 6 + 1 / 9))


def test_a_grouped_second_half_is_counted_as_it_is() -> None:
    (pair,) = separable(last="d", group=2).separable
    assert pair.macs == 64 * (4 * 9 + 2 * 6) and pair.standard_macs == 64 * 9 * 4 * 6


@pytest.mark.parametrize(
    ("between", "attributes"),
    [
        ([node("MaxPool", ["d"], ["e"], kernel_shape=[1, 1])], {}),
        ([node("Add", ["d", "x"], ["e"])], {}),
        ([node("Identity", ["x"], ["e"])], {}),
        ([node("Identity", ["d"], ["e"])], {"strides": [2, 2]}),
    ],
    ids=["other operator", "residual", "not from it", "strided"],
)
def test_what_is_no_pair_is_left(between: list[onnx.NodeProto], attributes: dict[str, Any]) -> None:
    assert separable(*between, last="e", **attributes).separable == ()


def test_first_block_of_mobilenet_as_in_the_document() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["d"], group=32, pads=[1, 1, 1, 1]),
        node("Conv", ["d", "v"], ["y"]),
    ]
    weights = {"w": ones(32, 1, 3, 3), "v": ones(64, 32, 1, 1)}
    found = analyse(ir.from_proto(build(nodes, {"x": [1, 32, 112, 112]}, ["y"], weights)))
    assert [item.macs for item in found.nodes] == [3_612_672, 25_690_112]
    assert found.separable[0].standard_macs == 231_211_008
    assert found.separable[0].reduction == pytest.approx(7.89, abs=5e-3)
    assert found.nodes[0].intensity == pytest.approx(2.25, abs=5e-3)


def test_shapes_that_are_computed_from_shapes_are_known() -> None:
    """As PyTorch exports padding: twice the width on each side, computed from the width."""
    nodes = [
        node("Shape", ["x"], ["s"], start=3),
        node("Concat", ["zeros", "s", "zeros", "s"], ["pads"], axis=0),
        node("Pad", ["x", "pads"], ["p"]),
        node("Conv", ["p", "w"], ["y"]),
    ]
    weights = {"zeros": np.zeros(3, np.int64), "w": ones(4, 2, 1, 3)}
    found = analyse(ir.from_proto(build(nodes, {"x": [1, 2, 5, 4]}, ["y"], weights)))
    assert found.operators == {"Pad": 1, "Conv": 1}
    assert found.macs == 4 * 5 * (3 * 4 - 2) * 2 * 3
