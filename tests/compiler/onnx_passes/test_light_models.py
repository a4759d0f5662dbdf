from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import load_model, prepare
from tests.compiler.onnx_passes.small_models import operators, run
from tests.light_models import LIGHT_MODELS, light_model_path, load_light_model

# Kept small: the large ones are compiled and compared by the end-to-end tests.
COMPARED = ("squeezenet", "shufflenet", "inception_v1", "densenet121", "inception_v2", "resnet50")


@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_as_shipped(name: str) -> None:
    prepared = prepare(load_model(light_model_path(name)))
    counts = operators(prepared)
    assert not counts.keys() & {"ConstantOfShape", "BatchNormalization", "Unsqueeze", "Dropout"}
    if name != "densenet121":
        # Its batch norms after Concat feed a ReLU, and so stay scales and shifts.
        assert "Mul" not in counts


@pytest.mark.parametrize("name", COMPARED)
def test_agrees_with_onnxruntime(name: str, tmp_path: Path) -> None:
    model = load_light_model(name, seed=1)
    file = tmp_path / "m.onnx"
    file.write_bytes(model.SerializeToString())
    loaded = load_model(file)
    given = loaded.graph.inputs[0]
    shape = [int(extent) for extent in given.shape or () if isinstance(extent, int)]
    feeds = {given.name or "": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    want = run(model, feeds)[0]
    prepared = ir.to_proto(prepare(loaded))
    onnx.checker.check_model(prepared)
    got = run(prepared, feeds)[0]
    assert np.isfinite(want).all() and want.std() > 0
    assert float(np.abs(want - got).max()) <= 1e-4 * float(np.abs(want).max())


def test_weights_repeat() -> None:
    first, second, other = (load_light_model("squeezenet", seed) for seed in (0, 0, 1))
    assert first.SerializeToString() == second.SerializeToString()
    assert first.SerializeToString() != other.SerializeToString()
