"""The nine ``light`` models of the onnx package, with random weights, on the Raspberry Pi 4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import edgewright
from tests.light_models import LIGHT_MODELS, load_light_model


@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_parity(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.onnx"
    onnx.save(load_light_model(name, seed=7), path)
    bundle = edgewright.compile(path, "rpi4")
    golden = bundle.golden()
    actual = bundle.run(golden.inputs, on="qemu")
    for output, expected in golden.outputs.items():
        assert np.ptp(expected) > 1e-5  # a constant answer would prove nothing
        error = np.abs(actual[output] - expected).max() / np.abs(expected).max()
        print(f"{name}: {error:.1e}")
        assert error < 1e-4
