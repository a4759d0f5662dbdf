"""Every verb on a bundle that is made without the compiler: output, JSON and exit statuses."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edgewright.cli.app import build_app
from edgewright.deploy.bundle import read_bundle
from tests.deploy.transport.loopback_sshd import LoopbackSshd

Edgewright = Callable[..., Result]


@pytest.fixture
def edgewright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edgewright:
    """Runs a command line in an empty folder."""
    folder = tmp_path / "working"
    folder.mkdir()
    monkeypatch.chdir(folder)
    app = build_app()
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def bundle(host_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(host_bundle, tmp_path / "bundle"))


@pytest.fixture
def model(host_bundle: Path) -> Path:
    return host_bundle.parent / "fake.onnx"


def golden_npz(bundle: Path, path: Path) -> Path:
    np.savez(path, **read_bundle(bundle).golden().inputs)
    return path


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_help_lists_the_verbs_and_the_exit_statuses(edgewright: Edgewright) -> None:
    result = edgewright("-h")
    assert result.exit_code == 0
    for verb in ("models", "inspect", "tune", "compile", "run", "verify", "bench", "boards"):
        assert f"\n  {verb} " in result.stdout
    assert "3 the" in result.stdout


@pytest.mark.parametrize(
    "verb", ["models list", "models export", "inspect", "tune", "compile", "run", "verify", "bench"]
)
def test_every_verb_explains_itself_and_has_json(edgewright: Edgewright, verb: str) -> None:
    result = edgewright(*verb.split(), "-h")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--debug" in result.stdout


def test_run_writes_the_outputs(edgewright: Edgewright, bundle: Path, tmp_path: Path) -> None:
    given = golden_npz(bundle, tmp_path / "in.npz")
    result = edgewright("run", bundle, "-i", given, "-o", "out.npz")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "Wrote out.npz" in result.stderr
    golden = read_bundle(bundle).golden()
    with np.load("out.npz") as outputs:
        assert outputs.files == ["y", "z"]
        np.testing.assert_allclose(outputs["y"], golden.outputs["y"], rtol=1e-6)
    assert parsed(edgewright("run", bundle, "-i", given, "-o", "out.npz", "--json")) == {
        "output": "out.npz",
        "outputs": {
            "y": {"shape": [2, 37], "dtype": "float32"},
            "z": {"shape": [5], "dtype": "int32"},
        },
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "the input 'x' is missing"),
        ({"extra": np.zeros(1)}, "the model has no input 'extra'"),
        ({"x": np.zeros((2, 38), np.float32)}, "the input 'x' has the shape [2, 38]"),
        ({"x": np.zeros((2, 37))}, "the input 'x' has the element type float64"),
    ],
    ids=["missing", "unknown", "shape", "dtype"],
)
def test_run_refuses_arrays_that_do_not_fit(
    edgewright: Edgewright, bundle: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    arrays = {**read_bundle(bundle).golden().inputs, **change}
    np.savez(tmp_path / "in.npz", **{k: v for k, v in arrays.items() if v is not None})
    result = edgewright("run", bundle, "-i", tmp_path / "in.npz", "-o", "out.npz")
    assert result.exit_code == 2
    assert message in result.stderr
    assert os.listdir() == []


def test_run_refuses_a_file_that_is_no_npz(
    edgewright: Edgewright, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.npz").write_text("no")
    result = edgewright("run", bundle, "-i", tmp_path / "in.npz", "-o", "out.npz")
    assert result.exit_code == 2
    assert "cannot be read as an .npz file" in result.stderr
    assert os.listdir() == []


def test_verify_passes_and_says_what_would_pass(edgewright: Edgewright, bundle: Path) -> None:
    result = edgewright("verify", bundle)
    assert result.exit_code == 0, result.stderr
    assert "golden" in result.stdout
    assert "would pass" in result.stdout
    report = parsed(edgewright("verify", bundle, "--json"))
    assert report["passed"] is True
    assert [case["name"] for case in report["cases"]] == ["golden"]


def test_verify_with_the_model_runs_onnxruntime_beside(
    edgewright: Edgewright, bundle: Path, model: Path
) -> None:
    report = parsed(edgewright("verify", bundle, "--model", model, "--seed", 7, "--json"))
    assert [case["name"] for case in report["cases"]] == ["golden", "seed 7"]
    assert report["cases"][1]["reference"].startswith("onnxruntime 1.")


def test_verify_on_qemu(edgewright: Edgewright, rpi4_bundle: Path) -> None:
    report = parsed(edgewright("verify", rpi4_bundle, "--on", "qemu", "--json"))
    assert report["on"] == "qemu cortex-a72"
    assert report["passed"] is True


def wrong_golden(bundle: Path) -> None:
    """Golden outputs that the library does not compute, in a bundle that is otherwise sound."""
    import hashlib

    path = bundle / "golden" / "output0.bin"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    values = np.fromfile(path, np.float32)
    values[40] += 1
    values.tofile(path)
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace(old, new))


def test_verify_fails_with_status_1_and_names_the_output(
    edgewright: Edgewright, bundle: Path
) -> None:
    wrong_golden(bundle)
    result = edgewright("verify", bundle)
    assert result.exit_code == 1
    assert "FAIL: 1 of 74 elements are outside" in result.stdout
    assert "the output 'y' differs from onnxruntime" in result.stderr
    assert "at [1, 3]" in result.stderr
    result = edgewright("verify", bundle, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["passed"] is False
    atol = report["cases"][0]["outputs"][0]["passing_atol"]
    assert atol == pytest.approx(1, rel=1e-5)
    assert edgewright("verify", bundle, "--atol", atol * 1.0001).exit_code == 0
    assert edgewright("verify", bundle, "--atol", atol * 0.999).exit_code == 1


def test_verify_refuses_another_model_and_negative_tolerances(
    edgewright: Edgewright, bundle: Path, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes() + b"\0")
    result = edgewright("verify", bundle, "--model", other)
    assert result.exit_code == 2
    assert "is not the model that the bundle" in result.stderr
    assert edgewright("verify", bundle, "--model", tmp_path / "absent.onnx").exit_code == 2
    assert edgewright("verify", bundle, "--rtol", "-1").exit_code == 2


@pytest.mark.parametrize("verb", ["verify", "bench"])
def test_a_broken_bundle_is_refused(edgewright: Edgewright, bundle: Path, verb: str) -> None:
    (bundle / "weights.bin").write_bytes(b"other")
    result = edgewright(verb, bundle)
    assert result.exit_code == 2
    assert "has a changed file, 'weights.bin'" in result.stderr
    result = edgewright(verb, bundle, "--json")
    assert json.loads(result.stdout)["exit_status"] == 2
    assert edgewright(verb, bundle / "absent").exit_code == 2


def test_another_architecture_says_to_use_qemu(
    edgewright: Edgewright, rpi4_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    for verb in ("verify", "bench"):
        result = edgewright(verb, rpi4_bundle)
        assert result.exit_code == 2
        assert "Add --on qemu" in result.stderr


def test_a_missing_qemu_has_status_3(
    edgewright: Edgewright, rpi4_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = edgewright("verify", rpi4_bundle, "--on", "qemu")
    assert result.exit_code == 3
    assert "sudo apt-get install qemu-user-static" in result.stderr


def test_a_board_that_does_not_answer_has_status_3(
    edgewright: Edgewright, bundle: Path, sshd: LoopbackSshd
) -> None:
    result = edgewright("verify", bundle, "--on", "ssh://127.0.0.1:1")
    assert result.exit_code == 3
    assert "ssh://127.0.0.1:1 refuses connections of ssh" in result.stderr


def test_a_board_is_deployed_to_verified_and_measured(
    edgewright: Edgewright, bundle: Path, model: Path, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    address = f"{sshd.address}{tmp_path}/net"
    result = edgewright("deploy", bundle, address)
    assert result.exit_code == 0, result.stderr
    assert "selftest: PASS" in result.stdout and "C library" in result.stdout
    again = parsed(edgewright("deploy", bundle, address, "--json"))
    assert (again["sent_files"], again["place"]) == (0, f"{tmp_path}/net")
    assert edgewright("verify", bundle, "--model", model, "--on", address).exit_code == 0
    result = edgewright("bench", bundle, "--on", address, "--repeats", 5, "--threads", "1,2")
    assert result.exit_code == 0, result.stderr
    for part in ("median ms", "first ms", "throttled"):
        assert part in result.stdout
    ncnn = re.findall(
        r"^ +fake  min = +[0-9.]+  max = +[0-9.]+  avg = +[0-9.]+$", result.stdout, re.M
    )
    assert len(ncnn) == 2


def test_two_benchmarks_are_compared(edgewright: Edgewright, bundle: Path, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(edgewright("bench", bundle, "--repeats", 20, "--json").stdout)
    result = edgewright("bench", "--compare", *files)
    assert result.exit_code == 0, result.stderr
    assert "verdict" in result.stdout and "edgewright" in result.stdout
    (change,) = parsed(edgewright("bench", "--compare", *files, "--json"))["changes"]
    assert change["verdict"] in ("faster", "slower", "same")
    result = edgewright("bench", "--compare", files[0], bundle / "manifest.json")
    assert result.exit_code == 2 and "is no benchmark" in result.stderr


def test_the_schema_of_benchmarks_is_printed(edgewright: Edgewright) -> None:
    schema = parsed(edgewright("bench", "--schema"))
    assert schema["title"] == "Benchmark" and "timings" in schema["required"]
    assert edgewright("bench").exit_code == 2


def test_bench_measures_in_turns(edgewright: Edgewright, bundle: Path, model: Path) -> None:
    report = parsed(
        edgewright(
            *("bench", bundle, "--threads", "1,2", "--vs", "onnxruntime", "--model", model),
            *("--repeats", 30, "--profile", "--json"),
        )
    )
    rows = [(row["engine"].split()[0], row["threads"]) for row in report["timings"]]
    assert rows == [("edgewright", 1), ("onnxruntime", 1), ("edgewright", 2), ("onnxruntime", 2)]
    for row in report["timings"]:
        assert row["repeats"] == 30
        assert 0 < row["min_ms"] <= row["median_ms"] <= row["p90_ms"] <= row["p99_ms"]
    assert set(report["times_faster"]) == {"1", "2"}
    assert [layer["name"] for layer in report["layers"]] == ["double", "add", "count"]
    assert sum(layer["share"] for layer in report["layers"]) == pytest.approx(1, abs=1e-3)
    assert report["conditions"]["cpu"]


def test_bench_prints_tables(edgewright: Edgewright, bundle: Path) -> None:
    result = edgewright("bench", bundle, "--repeats", 5, "--profile")
    assert result.exit_code == 0, result.stderr
    assert "median ms" in result.stdout
    assert "f32_double" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "qemu"], "An emulated time says nothing about a latency"),
        (["--vs", "onnxruntime"], "Name it with --model"),
        (["--vs", "abacus"], "unknown engine 'abacus'"),
        (["--threads", "0"], "the number of threads '0' cannot be read"),
        (["--repeats", "0"], "0 repeats were asked for"),
    ],
)
def test_bench_refuses_what_means_nothing(
    edgewright: Edgewright, bundle: Path, arguments: list[str], message: str
) -> None:
    result = edgewright("bench", bundle, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_boards_are_listed_and_shown(edgewright: Edgewright) -> None:
    listed = edgewright("boards", "list")
    assert listed.exit_code == 0
    assert "rpi4" in listed.stdout
    assert "cortex-a72" in listed.stdout
    boards = parsed(edgewright("boards", "list", "--json"))["boards"]
    assert {"rpi0", "rpi2", "rpi3", "rpi4", "rpi5", "arm926"} <= {b["name"] for b in boards}
    shown = edgewright("boards", "show", "rpi4")
    assert "BCM2711" in shown.stdout
    assert parsed(edgewright("boards", "show", "rpi4", "--json"))["target"]["mcpu"] == "cortex-a72"
    missing = edgewright("boards", "show", "rpi44")
    assert missing.exit_code == 2
    assert "Did you mean rpi4" in missing.stderr


def test_models_are_listed_and_exported(edgewright: Edgewright) -> None:
    names = [entry["name"] for entry in parsed(edgewright("models", "list", "--json"))]
    assert "mobilenet_v2" in names
    assert "lenet5" in edgewright("models", "list").stdout
    assert edgewright("models", "export", "lenet5", "-o", "l.onnx").exit_code == 0
    assert Path("l.onnx").stat().st_size > 61_706 * 4
    result = edgewright("models", "export", "lenet6", "-o", "x.onnx")
    assert result.exit_code == 2
    assert "Did you mean lenet5" in result.stderr
    assert os.listdir() == ["l.onnx"]


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["run"], ["bench", "x", "--repeats", "many"], ["boards", "nope"]]
)
def test_bad_usage_has_status_2(edgewright: Edgewright, arguments: list[str]) -> None:
    assert edgewright(*arguments).exit_code == 2
