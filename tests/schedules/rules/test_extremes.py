"""Maxima of minus infinity are minus infinity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import edgewright
from tests.compiler.graphs import model, node


@pytest.mark.parametrize("target", ["host", "rpi4"])
def test_rows_without_a_number(target: str, tmp_path: Path) -> None:
    nodes = [
        node("ReduceMax", "x a", "y_row", keepdims=0),
        node("ReduceMin", "x a", "y_least", keepdims=0),
        node("ReduceMax", "x b", "y_column", keepdims=0),
        node("MaxPool", "image", "y_pool", kernel_shape=[2, 2]),
    ]
    inputs = {"x": (6, 37), "image": (1, 3, 4, 4)}
    path = tmp_path / "m.onnx"
    axes = {"a": np.int64([1]), "b": np.int64([0])}
    outputs = {"y_row": [6], "y_least": [6], "y_column": [37], "y_pool": [1, 3, 3, 3]}
    onnx.save(model(nodes, inputs, outputs, axes), path)
    bundle = edgewright.compile(path, target)
    x, image = np.full(inputs["x"], -np.inf, np.float32), np.full(inputs["image"], -np.inf)
    x[1], x[2, 5] = np.inf, 3.0
    feeds = {"x": x, "image": image.astype(np.float32)}
    results = bundle.run(feeds, on="host" if target == "host" else "qemu")
    assert np.array_equal(results["y_row"], x.max(axis=1))
    assert np.array_equal(results["y_least"], x.min(axis=1))
    assert np.array_equal(results["y_column"], x.max(axis=0))
    assert np.array_equal(results["y_pool"], np.full((1, 3, 3, 3), -np.inf, np.float32))
