"""The comparison with other engines, on the two that are always installed."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.models.export import export

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
peers: Any = importlib.import_module("peers")
report: Any = importlib.import_module("peer_report")
process: Any = importlib.import_module("peer_process")
engines: Any = importlib.import_module("peer_engines")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engines", "tvm"], "unknown engine 'tvm'; there are edgewright, onnxruntime"),
        (["--threads", "1,0"], "--threads is '1,0'"),
        (["--threads", ""], "--threads is ''"),
        (["--rounds", "0"], "--rounds is 0; at least 1 is needed"),
        (["resnet19"], "'resnet19' is no .onnx file and none of alexnet,"),
        (["absent.onnx"], "'absent.onnx' is no .onnx file"),
        (["--json", "absent/peers.json"], "in a folder that does not exist"),
    ],
)
def test_bad_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        peers.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_reference_and_our_bundle_always_take_part() -> None:
    assert peers.arguments(["--engines", "ncnn"]).engines == ["onnxruntime", "edgewright", "ncnn"]
    assert peers.arguments([]).threads == [1, 2]
    assert len(peers.arguments([]).networks) == 8


def test_error_is_a_share_of_the_largest_logit() -> None:
    reference = np.array([[1.0, -4.0]], np.float32)
    assert peers.relative_error(np.array([1.0, -3.0], np.float32), reference) == 0.25
    assert peers.relative_error(np.zeros(3, np.float32), reference) == math.inf
    assert math.isnan(peers.relative_error(np.full(2, np.nan, np.float32), reference))


def test_ratios_are_taken_within_rounds() -> None:
    rounds = {
        ("edgewright", 1): [[(1.0, 1.0)], [(10.0, 1.0)], [(2.0, 2.0)]],
        ("ncnn", 1): [[(2.0, 3.0)], [(20.0, 3.0)], [(8.0, 3.0)]],
        ("mnn", 2): [[(5.0, 9.0), (7.0, 9.0)]] * 3,
    }
    ours, ncnn, mnn = report.summarize(rounds, dict.fromkeys(rounds, (1e-06, 0.5)))
    assert (ours.ratio, ours.median_ms, ours.min_ms, ours.repeats) == (1.0, 2.0, 1.0, 3)
    assert (ncnn.ratio, ncnn.ratio_of_minima, ncnn.ratio_of_cpu) == (2.0, 2.0, 3.0)
    assert (mnn.ratio, mnn.ratio_of_cpu, mnn.median_ms, mnn.repeats) == (None, None, 6.0, 6)
    comparison = report.Comparison("net", [ours, ncnn, mnn], {})
    assert comparison.best_peer(1) == ("ncnn", 2.0)
    assert comparison.best_peer(2) is None
    assert comparison.find("mnn", 2) is mnn and comparison.find("mnn", 1) is None


def test_a_mean_is_of_all_networks_or_of_none() -> None:
    assert report._mean([1.0, 4.0], 2) == "2.00"
    assert report._mean([1.0], 2) == "" and report._mean([], 0) == ""


def test_two_engines_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "peers.json"
    model = tmp_path / "digits.onnx"
    export("lenet5", model)
    common = ["--engines", "", "--rounds", "2", "--json", str(results)]
    assert peers.main([str(model), *common]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 threads: median ms" in printed and "Times faster on 2 threads than on 1" in printed
    content = json.loads(results.read_text())
    assert set(content["engines"]) == {"edgewright", "onnxruntime"}
    assert content["conditions"]["cpu"] and content["missing"] == {}
    (network,) = content["networks"]
    assert network["network"] == "digits" and network["failures"] == {}
    assert network["best_peer"]["1"][0] == "onnxruntime"
    keys = [(row["engine"], row["threads"]) for row in network["latencies"]]
    assert keys == [("onnxruntime", 1), ("onnxruntime", 2), ("edgewright", 1), ("edgewright", 2)]
    for row in network["latencies"]:
        assert 0 < row["min_ms"] <= row["median_ms"] and row["repeats"] >= 2
        assert row["error"] < 1e-4
        assert (row["ratio"] == 1.0) == (row["engine"] == "edgewright")


def test_wrong_numbers_are_not_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "MAX_ERROR", -1.0)
    results = tmp_path / "peers.json"
    arguments = ["lenet5", "--engines", "", "--rounds", "1", "--threads", "1"]
    assert peers.main([*arguments, "--json", str(results)]) == 1
    assert "edgewright failed on lenet5: its numbers are wrong" in capsys.readouterr().out
    (network,) = json.loads(results.read_text())["networks"]
    assert [row["engine"] for row in network["latencies"]] == ["onnxruntime"]
    assert network["latencies"][0]["ratio"] is None


def test_a_missing_engine_is_named_with_its_install_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    assert peers.main(["--python", str(bare), "--engines", "ncnn"]) == 3
    printed = capsys.readouterr().out
    assert "ncnn cannot be used" in printed and "No module named 'numpy'" in printed
    assert f"{bare} -m pip install -c constraints.txt numpy ncnn pnnx" in printed


def test_failures_say_what_the_engine_said(tmp_path: Path) -> None:
    with pytest.raises(process.ProcessFailure, match="cannot be started"):
        process.Process("onnxruntime", str(tmp_path / "python"))
    with process.Process("onnxruntime", sys.executable) as worker:
        with pytest.raises(process.ProcessFailure, match=r"AttributeError.* It printed nothing"):
            worker.call("dance")
        assert worker.call("version")["version"]
    with (
        process.Process("unknown", sys.executable) as worker,
        pytest.raises(process.ProcessFailure, match=r"(?s)died with status 1.*KeyError"),
    ):
        worker.call("version")


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2", "squeezenet1_1"])
def test_litert_files_compute_the_same(name: str) -> None:
    for package in ("ai_edge_litert", "flatbuffers"):
        pytest.importorskip(package, reason="the extra 'bench' is not installed")
    options = peers.arguments([name, "--engines", "litert", "--threads", "1", "--rounds", "1"])
    comparison = peers.compare(name, options, options.engines)
    assert comparison.failures == {}
    assert comparison.find("litert", 1).error < 1e-4
