"""ONNX's own cases of the groups that networks are made of: what onnxruntime passes, passes."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
onnx_conformance: Any = importlib.import_module("onnx_conformance")
conformance_cases: Any = importlib.import_module("conformance_cases")
conformance_worker: Any = importlib.import_module("conformance_worker")

OPERATORS = (
    "AveragePool BatchNormalization Conv ConvTranspose DeformConv Einsum GRU Gather GatherElements "
    "GatherND GlobalAveragePool GlobalMaxPool GridSample GroupNormalization InstanceNormalization "
    "LRN LSTM LayerNormalization LpNormalization LpPool MaxPool MaxUnpool Pad RMSNormalization RNN "
    "Resize ScatterElements ScatterND Slice TopK"
)
#: Cases that onnxruntime passes and we refuse, with a word of the reason.
REFUSED = {
    "test_batchnorm_epsilon_training_mode": "training mode",
    "test_batchnorm_example_training_mode": "training mode",
    "test_slice_start_out_of_bounds": "no elements",
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Verdicts and reasons of both engines, by case."""
    path = tmp_path_factory.mktemp("conformance") / "verdicts.json"
    names = ",".join(OPERATORS.split())
    onnx_conformance.main(["--operators", names, "--json", str(path), "--jobs", "2"])
    return {row["name"]: row for row in json.loads(path.read_text())}


def test_nothing_is_wrong_and_nothing_crashes(verdicts: dict[str, dict[str, Any]]) -> None:
    assert len(verdicts) > 200
    bad = {name: row["edgewright"] for name, row in verdicts.items()}
    assert {n: v for n, v in bad.items() if v[0] not in ("pass", "refused")} == {}


def test_what_onnxruntime_passes_passes(verdicts: dict[str, dict[str, Any]]) -> None:
    behind = {
        name: row["edgewright"][1]
        for name, row in verdicts.items()
        if row["onnxruntime"][0] == "pass" and row["edgewright"][0] != "pass"
    }
    assert sorted(behind) == sorted(REFUSED)
    for name, word in REFUSED.items():
        assert word in behind[name]


def test_a_wrong_number_a_shape_and_a_type_are_seen() -> None:
    case = conformance_cases.Case("node", "name", "Add", "", 1e-3, 1e-7)
    right = np.float32([1, 2])
    assert conformance_worker.compare(right, right, case) == ""
    assert "difference" in conformance_worker.compare(np.float32([1, 2.1]), right, case)
    assert "shape" in conformance_worker.compare(np.float32([[1, 2]]), right, case)
    assert "type" in conformance_worker.compare(np.float64([1, 2]), right, case)
    assert conformance_worker.compare(np.float32([1, np.nan]), right, case)


def test_a_dead_worker_is_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import sys; sys.stdin.readline(); sys.exit(3)")
    monkeypatch.setattr(onnx_conformance, "WORKER", script)
    worker = onnx_conformance.Worker("edgewright", 10.0)
    case = conformance_cases.Case("node", "name", "Add", "", 1e-3, 1e-7)
    assert worker.judge(case) == ("crashed", "the process died with status 3")


def test_a_slow_worker_is_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(onnx_conformance, "WORKER", script)
    worker = onnx_conformance.Worker("edgewright", 0.2)
    case = conformance_cases.Case("node", "name", "Add", "", 1e-3, 1e-7)
    assert worker.judge(case) == ("crashed", "no answer within 0.2 s")
