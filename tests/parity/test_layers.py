"""Every documented layer on the host and for a Raspberry Pi 4 agrees with onnxruntime and torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import edgewright
from edgewright.models.export import export
from edgewright.models.registry import build, list_models

#: Of the largest value of the output.
TOLERANCE = 1e-4
LAYERS = [entry.name for entry in list_models("layer")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


@pytest.mark.parametrize("target", ["host", "rpi4"])
@pytest.mark.parametrize("name", LAYERS)
def test_parity(name: str, target: str, exported: Path) -> None:
    path = exported / f"{name}.onnx"
    export(name, path)
    bundle = edgewright.compile(path, target)
    golden = bundle.golden()
    actual = bundle.run(golden.inputs, on="host" if target == "host" else "qemu")
    with torch.no_grad():
        given = [torch.from_numpy(np.array(value)) for value in golden.inputs.values()]
        answer = build(name)(*given)
    answers = answer if isinstance(answer, tuple) else (answer,)
    by_torch = {key: value.numpy() for key, value in zip(golden.outputs, answers, strict=True)}
    for reference in (golden.outputs, by_torch):
        for key, expected in reference.items():
            assert actual[key].shape == expected.shape
            if expected.dtype.kind != "f":
                assert np.array_equal(actual[key], expected), key
                continue
            assert np.isfinite(actual[key]).all()
            error = np.abs(actual[key].astype(np.float64) - expected).max()
            assert error <= TOLERANCE * np.abs(expected).max(), key
