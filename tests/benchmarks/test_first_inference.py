"""Load and first inference are measured for both engines."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
first_inference: Any = importlib.import_module("first_inference")


def test_one_row_for_each_network(capsys: pytest.CaptureFixture[str]) -> None:
    first_inference.main(["lenet5", "--rounds", "2", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row["network"] == "lenet5"
    assert row["edgewright_ms"] > 0 and row["onnxruntime_ms"] > 0
    assert row["times_faster"] == pytest.approx(row["onnxruntime_ms"] / row["edgewright_ms"])
