"""The benchmark for GPUs: all of it that needs none."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.deploy.cuda.nvcc_needed import need_nvcc

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
cuda: Any = importlib.import_module("cuda")
cuda_build: Any = importlib.import_module("cuda_build")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import platform

    need_nvcc()
    folder = tmp_path_factory.mktemp("bundles") / "prepared"
    target = f"cuda:sm_90:{platform.machine()}"
    words = ["lenet5", "--prepare", str(folder), "--batches", "1,3", "--target", target]
    assert cuda.main(words) == 0
    return folder


def test_one_command_runs_dry(bundles: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "NETWORKS": "lenet5", "BATCHES": "1,3"}
    script = ROOT / "scripts" / "cuda_machine.sh"
    done = subprocess.run(
        [str(script), "--dry-run", str(bundles), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "dry_run: True" in done.stdout and "lenet5" in done.stdout
    rows = json.loads((tmp_path / "out" / "float32.json").read_text())["rows"]
    assert [(row["batch"], row["passed"]) for row in rows] == [(1, True), (3, True)]
    assert all("median_ms" not in row for row in rows)


def test_the_script_says_how_it_is_used() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "cuda_machine.sh")], capture_output=True, text=True
    )
    assert done.returncode == 2 and "usage:" in done.stderr


def test_golden_tensors_are_read_with_their_batch(bundles: Path) -> None:
    bundle = bundles / "lenet5-b3"
    assert cuda.golden(bundle, "input")["input"].shape == (3, 1, 28, 28)
    assert cuda.golden(bundle, "output")["logits"].shape == (3, 10)


def test_errors_are_shares_of_the_largest() -> None:
    expected = {"a": np.array([1.0, -4.0]), "b": np.array([0.5])}
    assert cuda.error_of([np.array([1.0, -4.0]), np.array([0.5])], expected) == 0
    assert cuda.error_of([np.array([1.0, -3.0]), np.array([0.5])], expected) == 0.25
    assert cuda.error_of([np.array([1.0, np.nan]), np.array([0.5])], expected) == float("inf")
    with pytest.raises(ValueError, match="zip"):
        cuda.error_of([np.array([1.0])], expected)


def test_a_turn_is_timed_by_events_around_each_inference() -> None:
    said: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: Any) -> None:
            assert stream == "stream"
            said.append("event")

        def synchronize(self) -> None:
            said.append("synchronize")

        def elapsed_time(self, end: Any) -> float:
            return 0.5

    engine = SimpleNamespace(
        stream=lambda: "stream",
        enqueue=lambda: said.append("enqueue"),
        finish=lambda: said.append("finish"),
    )
    torch = SimpleNamespace(cuda=SimpleNamespace(Event=Event))
    assert cuda.time_turn(engine, torch) == [0.5] * cuda.TURN
    assert said[:5] == ["event", "enqueue", "event", "finish", "synchronize"]
    assert said.count("enqueue") == cuda.TURN + cuda.WARMUP


def test_wrong_numbers_are_marked_in_the_table() -> None:
    rows = [
        {"network": "a", "batch": 1, "engine": "x", "error": 0.5, "passed": False},
        {
            "network": "a",
            "batch": 1,
            "engine": "y",
            "error": 0.0,
            "passed": True,
            "median_ms": 0.25,
            "images_per_second": 4000.0,
        },
    ]
    _, wrong, right = cuda.table(rows).splitlines()
    assert wrong.endswith("WRONG") and "-" in wrong
    assert "0.2500" in right and "4000.0" in right and "WRONG" not in right


def test_without_a_gpu_it_says_so(bundles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert cuda.main(["lenet5", "--bundles", str(bundles)]) == 3
    assert "--dry-run needs none" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--prepare", "a", "--bundles", "b"]])
def test_either_prepare_or_measure(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        cuda.arguments(words)


def test_networks_are_built_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need_nvcc()
    assert cuda_build.main(["lenet5", "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["target"] for row in rows] == list(cuda_build.TARGETS)
    assert all(row["spilling"] == 0 and row["launches"] == 7 for row in rows)
    assert next(row for row in rows if "of_largest" in row)["of_largest"] < 1e-5
    assert "lenet5" in capsys.readouterr().out
    assert cuda_build.main(["nonsense"]) == 1
