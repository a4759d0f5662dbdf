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
    ]
    inputs = {"x": (6, 37)}
    path = tmp_path / "m.onnx"
    axes = {"a": np.int64([1]), "b": np.int64([0])}
    outputs = {"y_row": [6], "y_least": [6], "y_column": [37]}
    onnx.save(model(nodes, inputs, outputs, axes), path)
    bundle = edgewright.compile(path, target)
    x = np.full(inputs["x"], -np.inf, np.float32)
    x[1], x[2, 5] = np.inf, 3.0
    results = bundle.run({"x": x}, on="host" if target == "host" else "qemu")
    assert np.array_equal(results["y_row"], x.max(axis=1))
    assert np.array_equal(results["y_least"], x.min(axis=1))
    assert np.array_equal(results["y_column"], x.max(axis=0))
