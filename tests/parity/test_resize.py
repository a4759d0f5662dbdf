"""Upsampling between convolutions, as in feature pyramids, through the whole pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import edgewright
from tests.compiler.graphs import Array, model, node, weights

SIZES = np.int64([1, 16, 13, 17])
#: Attributes of Resize by name; all but the last run on blocked activations.
CASES: dict[str, dict[str, str]] = {
    "floor": {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
    "default": {},
    "linear": {"mode": "linear"},
    "corners": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    "pytorch": {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    "cubic": {"mode": "cubic"},
}


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi2"])
def test_parity(target: str, tmp_path: Path) -> None:
    nodes = [node("Conv", "image w", "source", pads=[1, 1, 1, 1])]
    constants: dict[str, Array] = {"w": weights(16, 12, 3, 3), "v": weights(16, 16, 1, 1)}
    constants |= {"sizes": SIZES, "twice": np.float32([1, 1, 2, 2])}
    outputs = {}
    for name, attributes in CASES.items():
        scale = "_ twice" if name == "floor" else "_ _ sizes"
        nodes.append(node("Resize", f"source {scale}", name, **attributes))
        nodes.append(node("Conv", f"{name} v", f"y_{name}"))
        outputs[f"y_{name}"] = (1, 16, 14, 18) if name == "floor" else tuple(SIZES.tolist())
    made = model(nodes, {"image": (1, 12, 7, 9)}, outputs, constants)
    path = tmp_path / "resize.onnx"
    onnx.save(made, path)
    bundle = edgewright.compile(path, target)
    verification = bundle.verify(path, on="host" if target == "host" else "qemu")
    failed = [
        (output.name, output.of_largest, output.reason)
        for case in verification.cases
        for output in case.outputs
        if not output.passed
    ]
    assert failed == []
    blocked = [layer for layer in bundle.manifest.layers if "_resize2d_" in layer.kernel]
    assert len(blocked) == len(CASES) - 1, [layer.kernel for layer in bundle.manifest.layers]
