"""ConvTranspose in every form that ONNX has, through the whole pipeline against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgewright
from tests.compiler.graphs import Array, model, node, rng, weights

IMAGE, LINE = (2, 12, 6, 7), (2, 12, 9)
#: Name to shape of the weights and attributes; 3-d weights are for lines.
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((12, 10, 3, 3), {}),
    "up_2": ((12, 10, 2, 2), {"strides": [2, 2]}),
    "up_4x4": ((12, 10, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "extra": ((12, 10, 3, 3), {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}),
    "extra_row": ((12, 10, 3, 3), {"strides": [3, 2], "output_padding": [2, 0]}),
    "asymmetric": ((12, 10, 3, 4), {"strides": [2, 3], "pads": [0, 1, 2, 3]}),
    "dilated": ((12, 10, 3, 3), {"dilations": [2, 3]}),
    "dilated_up": ((12, 10, 3, 3), {"dilations": [2, 3], "strides": [2, 2], "pads": [1] * 4}),
    "grouped": ((12, 5, 3, 3), {"group": 3, "strides": [2, 2]}),
    "depthwise": ((12, 1, 4, 4), {"group": 12, "strides": [2, 2], "pads": [1] * 4}),
    "multiplier": ((12, 2, 3, 3), {"group": 12, "strides": [2, 1]}),
    "gap": ((12, 10, 1, 1), {"strides": [2, 3]}),
    "same_upper": ((12, 10, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "same_lower": ((12, 10, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "shape": ((12, 10, 3, 3), {"strides": [2, 2], "output_shape": [12, 13]}),
    "larger_shape": ((12, 10, 2, 2), {"strides": [3, 3], "output_shape": [18, 20]}),
    "line": ((12, 10, 3), {"strides": [2], "pads": [1, 0], "output_padding": [1]}),
    "line_grouped": ((12, 3, 4), {"strides": [3], "group": 4, "dilations": [2]}),
}


def conv_transposes() -> onnx.ModelProto:
    """One model with an output for each case; every other case has a bias, every third a ReLU."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Array] = {}
    for number, (name, (shape, attributes)) in enumerate(CASES.items()):
        source = "image" if len(shape) == 4 else "line"
        inputs = f"{source} {name}_w"
        constants[f"{name}_w"] = weights(*shape)
        if number % 2:
            channels = shape[1] * attributes.get("group", 1)
            constants[f"{name}_b"] = rng(number).standard_normal(channels).astype(np.float32)
            inputs += f" {name}_b"
        result = f"y_{name}" if number % 3 else f"{name}_sum"
        nodes.append(node("ConvTranspose", inputs, result, **attributes))
        if number % 3 == 0:
            nodes.append(node("Relu", result, f"y_{name}"))
    inputs = {"image": IMAGE, "line": LINE}
    untyped = model(nodes, inputs, {}, constants)
    inferred = onnx.shape_inference.infer_shapes(untyped, strict_mode=True)
    outputs = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in inferred.graph.value_info
        if value.name.startswith("y_")
    }
    return model(nodes, inputs, outputs, constants)


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi2"])
def test_parity(target: str, tmp_path: Path) -> None:
    path = tmp_path / "conv_transpose.onnx"
    onnx.save(conv_transposes(), path)
    bundle = edgewright.compile(path, target)
    verification = bundle.verify(path, on="host" if target == "host" else "qemu")
    failed = [
        (output.name, output.of_largest, output.reason)
        for case in verification.cases
        for output in case.outputs
        if not output.passed
    ]
    assert failed == []
    layers = [layer for layer in bundle.manifest.layers if layer.op == "conv2d_transposed"]
    assert len(layers) == len(CASES), [layer.op for layer in bundle.manifest.layers]


def test_a_decoder_stays_blocked_and_fused(tmp_path: Path) -> None:
    """Upsample, join with the encoder's tensor, convolve: one step of a U-Net."""
    nodes = [
        node("Conv", "image enc_w", "encoded", pads=[1, 1, 1, 1]),
        node("MaxPool", "encoded", "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("ConvTranspose", "pooled up_w up_b", "up", strides=[2, 2]),
        node("Add", "up encoded", "joined"),
        node("Sigmoid", "joined", "gate"),
        node("Mul", "joined gate", "active"),
        node("Conv", "active out_w", "y", pads=[1, 1, 1, 1]),
    ]
    constants = {
        "enc_w": weights(16, 12, 3, 3),
        "up_w": weights(16, 16, 2, 2),
        "up_b": rng(1).standard_normal(16).astype(np.float32),
        "out_w": weights(16, 16, 3, 3),
    }
    made = model(nodes, {"image": (1, 12, 8, 8)}, {"y": (1, 16, 8, 8)}, constants)
    path = tmp_path / "unet.onnx"
    onnx.save(made, path)
    bundle = edgewright.compile(path, "host")
    assert bundle.verify(path).passed
    (up,) = (layer for layer in bundle.manifest.layers if layer.op == "conv2d_transposed")
    assert up.nodes == ("node_up", "node_joined", "node_gate", "node_active")
    # At most the input and the output change their layout.
    assert sum(layer.op == "layout" for layer in bundle.manifest.layers) <= 2
