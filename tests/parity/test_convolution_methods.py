"""Each method of convolution on emulated boards: NEON of both kinds, VFP, and no vectors at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgewright
from tests.compiler.graphs import Array, model, node, rng, weights

#: Odd extents, tails of channels and of tiles, asymmetric padding, dilation, one row, one column.
LAYERS: dict[str, tuple[tuple[int, int, int, int], dict[str, Any]]] = {
    "square": ((10, 6, 5, 5), {"pads": [2, 2, 2, 2]}),
    "large": ((7, 6, 9, 9), {"pads": [4, 5, 3, 4]}),
    "row": ((9, 6, 1, 11), {"pads": [0, 5, 0, 5]}),
    "column": ((5, 6, 7, 1), {"pads": [1, 0, 3, 0]}),
    "dilated": ((8, 6, 3, 3), {"pads": [2, 1, 2, 3], "dilations": [2, 3]}),
    "depthwise": ((6, 1, 7, 7), {"pads": [3, 3, 3, 3], "group": 6}),
    "strided": ((9, 6, 3, 3), {"pads": [1, 0, 1, 2], "strides": [2, 1]}),
    "grouped": ((12, 3, 3, 3), {"pads": [1, 1, 1, 1], "group": 2}),
}
EXTENT = (1, 6, 15, 18)
#: Layers that each method takes; the others take another.
TAKEN = {
    "im2col": {"square", "large", "row", "column", "dilated", "strided", "grouped"},
    "fft": {"square", "large", "row", "column", "dilated", "depthwise"},
}


def layers_model() -> onnx.ModelProto:
    nodes, constants, outputs = [], dict[str, Array](), dict[str, list[int]]()
    for number, (name, (shape, attributes)) in enumerate(LAYERS.items()):
        constants[f"{name}_w"] = weights(*shape, seed=number)
        constants[f"{name}_b"] = rng(number).standard_normal(shape[0]).astype(np.float32)
        inputs = f"image {name}_w {name}_b"
        nodes.append(node("Conv", inputs, f"{name}_c", **attributes))
        nodes.append(node("Relu", f"{name}_c", f"y_{name}"))
    untyped = model(nodes, {"image": EXTENT}, {}, constants)
    inferred = onnx.shape_inference.infer_shapes(untyped, strict_mode=True)
    for value in inferred.graph.value_info:
        if value.name.startswith("y_"):
            extents = value.type.tensor_type.shape.dim
            outputs[value.name] = [extent.dim_value for extent in extents]
    return model(nodes, {"image": EXTENT}, outputs, constants)


@pytest.mark.parametrize("target", ["rpi4", "rpi2", "rpi0", "arm926"])
@pytest.mark.parametrize("algorithm", sorted(TAKEN))
def test_parity(algorithm: str, target: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.onnx"
    onnx.save(layers_model(), path)
    bundle = edgewright.compile(path, target, conv_algorithm=algorithm)
    methods = {
        layer.name.removeprefix("node_").removesuffix("_c"): layer.kernel
        for layer in bundle.manifest.layers
        if layer.op == "conv2d"
    }
    assert {name for name, kernel in methods.items() if f"_{algorithm}_" in kernel} == (
        TAKEN[algorithm]
    )
    verification = bundle.verify(path, on="qemu")
    failed = [
        (output.name, output.of_largest, output.reason)
        for case in verification.cases
        for output in case.outputs
        if not output.passed
    ]
    assert failed == []
    assert verification.worst_of_largest < 2e-6
