"""Operators without a kernel of ours, and odd shapes of those with one, through the whole pipeline.

One model holds many operators, each with an output of its own, so that one bundle proves them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgewright
from tests.compiler.graphs import Array, model, node, rng, weights

Case = tuple[str, list[onnx.NodeProto], dict[str, Array]]

#: Inputs that the cases read: an image batch, odd sizes, a sequence, a matrix, a vector.
INPUTS = {
    "image": (1, 12, 14, 14),
    "odd": (2, 5, 7, 9),
    "sequence": (3, 11, 20),
    "matrix": (6, 17),
    "vector": (13,),
}


def unary() -> list[Case]:
    names = (
        "Abs Neg Exp Sigmoid Tanh Relu Floor Ceil Sqrt Reciprocal Softplus Softsign Erf Sign Elu"
    )
    positive = {"Sqrt", "Reciprocal"}
    cases: list[Case] = []
    for name in names.split():
        source, nodes = "odd", []
        if name in positive:
            nodes = [
                node("Abs", "odd", f"{name}_a"),
                node("Add", f"{name}_a {name}_c", f"{name}_p"),
            ]
            source = f"{name}_p"
        nodes.append(node(name, source, f"y_{name}"))
        constants = {f"{name}_c": np.float32([0.5])} if name in positive else {}
        cases.append((name, nodes, constants))
    return cases


def convolutions() -> list[Case]:
    w, vector = weights, lambda n: rng(n).standard_normal(n).astype(np.float32)
    return [
        conv("conv_odd", "odd", w(7, 5, 3, 3), vector(7), pads=[1, 0, 2, 1]),
        conv("conv_stride", "image", w(10, 12, 3, 3), None, strides=[2, 1], pads=[1, 1, 1, 1]),
        conv("conv_dilated", "image", w(8, 12, 3, 3), vector(8), dilations=[2, 3]),
        conv("conv_row", "image", w(6, 12, 1, 5), None, pads=[0, 2, 0, 2]),
        conv("conv_column", "image", w(6, 12, 5, 1), None),
        conv("conv_grouped", "image", w(9, 4, 3, 3), vector(9), group=3),
        conv("conv_depthwise", "image", w(12, 1, 5, 5), vector(12), group=12, pads=[2, 2, 2, 2]),
        conv("conv_multiplier", "image", w(24, 1, 3, 3), None, group=12),
        conv("conv_1x1_stride", "image", w(20, 12, 1, 1), vector(20), strides=[2, 2]),
        conv("conv_1d", "sequence", w(8, 11, 3), vector(8), pads=[1, 1]),
        (
            "conv_transpose",
            [node("ConvTranspose", "image ct_w", "y_conv_transpose", strides=[2, 2])],
            {"ct_w": w(12, 5, 3, 3)},
        ),
    ]


def conv(name: str, source: str, weight: Array, bias: Array | None, **attributes: Any) -> Case:
    constants = {f"{name}_w": weight} | ({} if bias is None else {f"{name}_b": bias})
    inputs = " ".join([source, *constants])
    return name, [node("Conv", inputs, f"y_{name}", **attributes)], constants


def pools() -> list[Case]:
    window = {"kernel_shape": [3, 3], "strides": [2, 2]}
    return [
        one("MaxPool", "odd", "max_pool", **window, pads=[1, 1, 1, 1]),
        one("MaxPool", "image", "max_pool_ceil", **window, ceil_mode=1),
        one("AveragePool", "odd", "average_pool", **window, pads=[1, 1, 0, 0]),
        one("AveragePool", "odd", "average_pool_pads", **window, pads=[1] * 4, count_include_pad=1),
        one("GlobalAveragePool", "odd", "global_average"),
        one("GlobalMaxPool", "odd", "global_max"),
    ]


def one(op: str, inputs: str, name: str, **attributes: Any) -> Case:
    return name, [node(op, inputs, f"y_{name}", **attributes)], {}


def shapes() -> list[Case]:
    return [
        one("Transpose", "odd", "transpose", perm=[0, 2, 3, 1]),
        one("Flatten", "odd", "flatten", axis=2),
        one("Concat", "odd odd", "concat", axis=1),
        one("Concat", "matrix matrix", "concat_rows", axis=0),
        ("reshape", [node("Reshape", "odd rs", "y_reshape")], {"rs": np.int64([5, -1])}),
        ("slice", [node("Slice", "odd s0 s1 s2 s3", "y_slice")], slice_constants()),
        ("pad", [node("Pad", "odd pd", "y_pad")], {"pd": np.int64([0, 0, 1, 2, 0, 1, 0, 3])}),
        ("gather", [node("Gather", "matrix gi", "y_gather", axis=1)], {"gi": np.int64([3, 0, 16])}),
        (
            "gather_negative",
            [node("Gather", "matrix gn", "y_gather_negative", axis=0)],
            {"gn": np.int64([[-1, 2], [0, -6]])},
        ),
        ("expand", [node("Expand", "vector ex", "y_expand")], {"ex": np.int64([4, 13])}),
        ("tile", [node("Tile", "matrix ti", "y_tile")], {"ti": np.int64([2, 3])}),
        ("split", [node("Split", "odd sp", "split_a y_split", axis=3)], {"sp": np.int64([4, 5])}),
        (
            "resize",
            [
                node(
                    "Resize",
                    "image _ sc",
                    "y_resize",
                    mode="nearest",
                    nearest_mode="floor",
                    coordinate_transformation_mode="asymmetric",
                )
            ],
            {"sc": np.float32([1, 1, 2, 2])},
        ),
        (
            "channel_shuffle",
            [
                node("Reshape", "image sh1", "shuffle_a"),
                node("Transpose", "shuffle_a", "shuffle_b", perm=[0, 2, 1, 3, 4]),
                node("Reshape", "shuffle_b sh2", "y_channel_shuffle"),
            ],
            {"sh1": np.int64([1, 3, 4, 14, 14]), "sh2": np.int64([1, 12, 14, 14])},
        ),
    ]


def slice_constants() -> dict[str, Array]:
    return {
        "s0": np.int64([1, 8]),
        "s1": np.int64([5, 0]),
        "s2": np.int64([2, 3]),
        "s3": np.int64([2, -2]),
    }


def mathematics() -> list[Case]:
    return [
        ("matmul", [node("MatMul", "matrix mm", "y_matmul")], {"mm": weights(17, 9)}),
        (
            "matmul_batched",
            [
                node("Transpose", "sequence", "mb_t", perm=[0, 2, 1]),
                node("MatMul", "sequence mb_t", "y_matmul_batched"),
            ],
            {},
        ),
        (
            "gemm",
            [node("Gemm", "matrix gw gb", "y_gemm", transB=1, alpha=0.5, beta=2.0)],
            {"gw": weights(21, 17), "gb": rng(3).standard_normal(21).astype(np.float32)},
        ),
        one("Softmax", "matrix", "softmax", axis=1),
        one("Softmax", "odd", "softmax_channels", axis=1),
        one("LogSoftmax", "matrix", "log_softmax", axis=1),
        one("LRN", "image", "lrn", size=5, alpha=1e-2, beta=0.75, bias=1.0),
        reduce("ReduceMean", "odd", [2, 3]),
        reduce("ReduceSum", "odd", [1]),
        reduce("ReduceMax", "sequence", [2]),
        reduce("ReduceMin", "matrix", [0]),
        (
            "layer_norm",
            [node("LayerNormalization", "sequence ln_s ln_b", "y_layer_norm", axis=-1)],
            {"ln_s": np.linspace(0.5, 1.5, 20, dtype=np.float32), "ln_b": np.ones(20, np.float32)},
        ),
        (
            "instance_norm",
            [node("InstanceNormalization", "odd in_s in_b", "y_instance_norm")],
            {"in_s": np.linspace(0.5, 1.5, 5, dtype=np.float32), "in_b": np.zeros(5, np.float32)},
        ),
        (
            "prelu",
            [node("PRelu", "odd pr", "y_prelu")],
            {"pr": np.full((5, 1, 1), 0.2, np.float32)},
        ),
        ("pow", [node("Pow", "vector pw", "y_pow")], {"pw": np.float32([2.0])}),
        ("broadcast", [node("Mul", "odd bc", "y_broadcast")], {"bc": weights(7, 1)}),
        one("HardSwish", "odd", "hard_swish"),
        one("HardSigmoid", "odd", "hard_sigmoid", alpha=0.3, beta=0.4),
        one("LeakyRelu", "odd", "leaky_relu", alpha=0.1),
    ]


def channels() -> list[Case]:
    """Rearranged channels between convolutions: memory shared, copied or shuffled."""

    def pointwise(source: str, name: str, inputs: int, outputs: int) -> tuple[Any, Array]:
        weight = f"{name}_w"
        return node("Conv", f"{source} {weight}", name), weights(outputs, inputs, 1, 1)

    def case(name: str, *steps: Any) -> Case:
        constants = {each.input[1]: weight for each, weight in filter(_is_conv, steps)}
        made = [step[0] if isinstance(step, tuple) else step for step in steps]
        return name, made, constants

    def concat(sources: str, name: str) -> Any:
        return node("Concat", sources, name, axis=1)

    def _is_conv(step: Any) -> bool:
        return isinstance(step, tuple)

    return [
        case(
            "growing",
            pointwise("image", "g0", 12, 32),
            pointwise("g0", "g1", 32, 16),
            concat("g0 g1", "g2"),
            pointwise("g2", "g3", 48, 16),
            concat("g2 g3", "g4"),
            pointwise("g4", "y_growing", 64, 5),
        ),
        case(
            "twice",
            pointwise("image", "t0", 12, 16),
            pointwise("image", "t1", 12, 16),
            concat("t0 t1", "t2"),
            concat("t1 t0 t1", "t3"),
            pointwise("t2", "t4", 32, 16),
            pointwise("t3", "t5", 48, 16),
            concat("t4 t5", "t6"),
            concat("t6 t6", "t7"),
            pointwise("t7", "y_twice", 64, 5),
        ),
        case(
            "seen",
            pointwise("image", "y_seen_part", 12, 16),
            pointwise("image", "s1", 12, 16),
            concat("y_seen_part s1", "s2"),
            pointwise("s2", "s3", 32, 7),
            concat("s3 s2", "y_seen"),
        ),
        case(
            "halves",
            pointwise("image", "h0", 12, 64),
            node("Split", "h0", "h1 h2", axis=1, num_outputs=2),
            pointwise("h2", "h3", 32, 32),
            concat("h1 h3", "h4"),
            node("Split", "h4", "h5 h6", axis=1, num_outputs=2),
            node("Add", "h5 h6", "h7"),
            pointwise("h7", "y_halves", 32, 5),
        ),
        case(
            "ragged",
            pointwise("image", "r0", 12, 22),
            node("Split", "r0", "r1 r2", axis=1, num_outputs=2),
            pointwise("r1", "r3", 11, 11),
            concat("r3 r2 image", "r4"),
            pointwise("r4", "r5", 34, 9),
            node("GlobalAveragePool", "r5", "y_ragged"),
        ),
    ]


def reduce(op: str, source: str, axes: Sequence[int]) -> Case:
    name = op.lower()
    return name, [node(op, f"{source} {name}_axes", f"y_{name}")], {f"{name}_axes": np.int64(axes)}


FAMILIES = {
    "unary": unary(),
    "convolutions": convolutions(),
    "pools": pools(),
    "shapes": shapes(),
    "mathematics": mathematics(),
    "channels": channels(),
}


def family_model(cases: Sequence[Case]) -> onnx.ModelProto:
    nodes = [each for _, made, _ in cases for each in made]
    constants: dict[str, Array] = {}
    for _, _, more in cases:
        constants |= more
    read = {name for each in nodes for name in each.input}
    inputs = {name: shape for name, shape in INPUTS.items() if name in read}
    return model(nodes, inputs, output_shapes(nodes, inputs, constants), constants)


def output_shapes(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int]],
    constants: Mapping[str, Array],
) -> dict[str, list[int]]:
    """What ONNX infers for each output ``y_…``."""
    untyped = model(nodes, inputs, {}, constants)
    inferred = onnx.shape_inference.infer_shapes(untyped, data_prop=True, strict_mode=True)
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in inferred.graph.value_info
        if value.name.startswith("y_")
    }


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi2"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_parity(family: str, target: str, tmp_path: Path) -> None:
    made = family_model(FAMILIES[family])
    assert len(made.graph.output) >= len(FAMILIES[family])
    path = tmp_path / f"{family}.onnx"
    onnx.save(made, path)
    verification = edgewright.compile(path, target).verify(
        path, on="host" if target == "host" else "qemu"
    )
    failed = [
        (output.name, output.of_largest, output.reason)
        for case in verification.cases
        for output in case.outputs
        if not output.passed
    ]
    assert failed == []
