"""The measured kernels compute what they should: a benchmark of wrong numbers is worth nothing."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload, Epilogue
from edgewright.spec.target import parse_target
from tests.schedules import references

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
kernels: Any = importlib.import_module("kernels")
timing: Any = importlib.import_module("kernel_timing")
compare: Any = importlib.import_module("kernel_methods")

HOST = replace(parse_target("host"), num_cores=1)
#: A small layer of each kind in ``kernels.LAYERS``.
SMALL = {
    "stem, plain input": kernels.conv(3, 20, 24, 7, 2),
    "3x3": kernels.conv(32, 14, 32, 3),
    "3x3, strided": kernels.conv(32, 14, 48, 3, 2),
    "1x1": kernels.conv(48, 9, 32, 1),
    "depthwise": kernels.conv(40, 12, 40, 3, groups=40),
    "large kernel": kernels.conv(32, 14, 32, 11),
}


@pytest.mark.parametrize("name", SMALL)
def test_convolutions_compute_what_they_should(name: str) -> None:
    w: Conv2dWorkload = SMALL[name]
    nchw = w.in_channels < HOST.isa.vec_lanes
    kernel, call = kernels.conv_function(w, HOST)
    call()
    repeated, out, (x, weights, bias) = timing.conv_call(kernel, w, HOST, nchw=nchw)
    repeated()
    none = np.zeros(0, np.float32)
    expected = references.conv2d(w, x, weights, bias, none)
    y = timing.plain(out.numpy(), w.out_channels)
    assert np.abs(expected).max() > 0.01
    assert np.abs(y - expected).max() < 1e-5 * np.abs(expected).max()


def test_every_kind_of_layer_is_covered() -> None:
    kinds = {
        (w.kernel_h, w.stride_h, w.is_depthwise, w.in_channels < HOST.isa.vec_lanes)
        for w in kernels.LAYERS.values()
        if isinstance(w, Conv2dWorkload)
    }
    assert {(3, 1, False, False), (1, 1, False, False), (3, 1, True, False)} <= kinds
    assert any(kind[3] for kind in kinds)


def test_dense_layers_run() -> None:
    kernel, call = kernels.dense_function(DenseWorkload(1, 40, 24, Epilogue(bias=True)), HOST)
    call()
    assert kernel.algorithm == "dense"


def test_onnxruntime_gets_the_same_layer() -> None:
    w = SMALL["3x3"]
    call, layers = kernels.onnxruntime_function(w)
    call()
    assert layers == kernels.CHAIN
    call, layers = kernels.onnxruntime_function(SMALL["3x3, strided"])
    call()
    assert layers == 1


def test_a_layer_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(kernels, "LAYERS", {"small 3x3": SMALL["3x3"], "other": SMALL["1x1"]})
    kernels.main(["--json", "--rounds", "1", "--only", "3x3"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row["layer"] == "small 3x3" and row["kernel"].startswith("f32_conv2d_")
    assert row["median_us"] > 0 and row["share_of_peak"] > 0 and row["onnxruntime_layers"] == 8
    kernels.main(["--rounds", "1"])
    assert "small 3x3" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no layer's name contains 'absent'"):
        kernels.main(["--only", "absent"])


def test_methods_are_compared(capsys: Any) -> None:
    common = ["--methods", "--rounds", "1", "--channels", "16", "--maps", "7"]
    kernels.main([*common, "--kernels", "3,7", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kernel"], row["method"]) for row in rows] == [
        (kernel, method) for kernel in (3, 7) for method in compare.METHODS
    ]
    for row in rows:
        if (row["kernel"], row["method"]) == (7, "winograd"):
            assert row["median_us"] is None and "not 3x3 or 5x5" in row["name"]
            continue
        assert row["error"] < 2e-6 and row["share_of_peak"] > 0 and row["weight_bytes"] > 0
        assert (row["scratch_bytes"] == 0) == (row["method"] == "direct")
        assert f"_{row['method']}_" in row["name"]
    for kernel in (3, 7):
        assert sum(row["chosen"] for row in rows if row["kernel"] == kernel) == 1
    kernels.main([*common, "--kernels", "3"])
    assert "winograd" in capsys.readouterr().out
    kernels.main([*common, "--kernels", "3", "--max-gmacs", "0.00001"])
    assert "direct" not in capsys.readouterr().out


def test_wrong_numbers_show_in_the_error() -> None:
    w = replace(SMALL["3x3"], epilogue=Epilogue(bias=True))
    kernel, _ = kernels.conv_function(w, HOST)
    call, out, tensors = timing.conv_call(kernel, w, HOST)
    call()
    y = timing.plain(out.numpy(), w.out_channels)
    assert compare.relative_error(w, y, tensors) < 2e-6
    y[0, 0, 3, 3] += 0.5 * np.abs(y).max()
    assert compare.relative_error(w, y, tensors) > 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds is 0; at least 1"),
        (["--methods", "--kernels", "3,x"], "'3,x' is no list of positive numbers"),
        (["--methods", "--maps", "0"], "'0' is no list of positive numbers"),
    ],
)
def test_bad_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        kernels.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
