"""``edgewright tune``, and what ``edgewright compile --records`` makes of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import edgewright
from edgewright.cli.app import build_app
from edgewright.deploy.bundle import files_of
from edgewright.schedules.records import Records
from tests.edgewright.small_network import save_network


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with a small model and its records, and what tuning printed."""
    folder = tmp_path_factory.mktemp("tuned")
    save_network(folder / "net.onnx")
    command = ["tune", folder / "net.onnx", "-o", folder / "records.json", "--threads", "1"]
    result = edgewright_verb(*command, "--budget", "600", "--json")
    assert result.exit_code == 0, result.stderr
    return folder, json.loads(result.stdout)


@pytest.fixture
def folder(
    tuned: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with copies of both files."""
    for name in ("net.onnx", "records.json"):
        shutil.copyfile(tuned[0] / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edgewright_verb(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def test_every_layer_is_measured(tuned: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = tuned
    assert [layer["layer"] for layer in printed["layers"]] == ["conv1", "conv2", "head"]
    assert (printed["measured"], printed["remaining"], printed["threads"]) == (3, 0, 1)
    for layer in printed["layers"]:
        assert layer["gain"] >= 1.0
        assert layer["record"]["excluded"] == []
        assert layer["record"]["workload"] == layer["workload"]
    records = Records.load(folder / "records.json")
    assert len(records.records) == 3
    assert records.machine.cpu and records.machine.cores >= 1
    assert records.sessions[0].edgewright == edgewright.__version__


def test_a_second_run_has_nothing_to_do(folder: Path) -> None:
    before = Path("records.json").read_bytes()
    result = edgewright_verb("tune", "net.onnx", "-o", "records.json", "--threads", 1)
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 layers are measured: " in result.stdout
    assert "conv1" in result.stdout and "Wrote records.json" in result.stdout
    assert Path("records.json").read_bytes() == before


def turned(records: Records) -> Records:
    """Records by which no convolution keeps the model's choice."""
    raw = json.loads(records.dump())
    for record in raw["records"]:
        if not record["workload"].startswith("conv2d"):
            continue
        others = [m for m in record["measured"] if m["kernel"] != record["model_choice"]]
        for measured in record["measured"]:
            measured["median_ns"] = 9000.0
        others[-1]["median_ns"] = 5000.0
        record.update(kernel=others[-1]["kernel"], config=others[-1]["config"])
    Path("turned.json").write_text(json.dumps(raw))
    return Records.load("turned.json")


def test_the_bundle_follows_the_records(folder: Path) -> None:
    records = turned(Records.load("records.json"))
    result = edgewright_verb("compile", "net.onnx", "-o", "out", "--records", "turned.json")
    assert result.exit_code == 0, result.stderr
    assert "3 layers have kernels chosen by measurement" in result.stdout
    bundle = edgewright.load("out")
    winners = {r.kernel for r in records.records if r.workload.startswith("conv2d")}
    layers = [layer for layer in bundle.manifest.layers if layer.op == "conv2d"]
    assert {layer.kernel for layer in layers} == winners
    for layer in layers:
        assert layer.reason.endswith("; measured: 5 us, model's choice 9 us")
    digest = hashlib.sha256(Path("turned.json").read_bytes()).hexdigest()
    assert bundle.manifest.options["records"] == f"sha256:{digest}"
    assert bundle.verify("net.onnx").passed


def test_the_same_records_give_the_same_bytes(folder: Path) -> None:
    for output, records in (("one", "records.json"), ("two", Records.load("records.json"))):
        edgewright.compile("net.onnx", "host", output=output, records=records)
    assert sorted(files_of(Path("one"))) == sorted(files_of(Path("two")))
    for name in files_of(Path("one")):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name
    plain = edgewright.compile("net.onnx", "host", output="plain")
    assert plain.manifest.options["records"] == "None"


def test_records_of_another_machine_are_ignored_and_it_is_said(folder: Path) -> None:
    result = edgewright_verb(
        "compile", "net.onnx", "-o", "out", "-t", "cortex-a53", "--records", "records.json"
    )
    assert result.exit_code == 0, result.stderr
    assert "0 layers have kernels chosen by measurement; elsewhere: measured for " in result.stdout
    for layer in edgewright.load("out").manifest.layers:
        if layer.op in ("conv2d", "dense"):
            (why,) = [entry for entry in layer.declined if entry.startswith("records: ")]
            assert "not for cortex-a53" in why


def test_the_api_is_the_same(folder: Path) -> None:
    tuning = edgewright.tune("net.onnx", output="records.json", threads=1)
    assert isinstance(tuning, edgewright.Tuning)
    assert isinstance(tuning.records, edgewright.Records)
    assert tuning.measured == 0
    bundle = edgewright.compile("net.onnx", "host", records=tuning.records)
    assert any("measured: " in layer.reason for layer in bundle.manifest.layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-t", "rpi4"], "kernels for 'rpi4' cannot be timed here"),
        (["-t", "toaster"], "unknown target 'toaster'"),
        (["--budget", "0"], "a budget of 0 seconds was given"),
        (["--threads", "99"], "99 threads were asked for"),
        (["-o", "none/records.json"], "the records 'none/records.json' cannot be written"),
        (["-o", "net.onnx"], "the records 'net.onnx' cannot be read"),
        (["-o", "broken.json"], "the records 'broken.json' are damaged"),
    ],
)
def test_errors_are_one_paragraph(folder: Path, arguments: list[str], message: str) -> None:
    text = Path("records.json").read_text()
    Path("broken.json").write_text(text[: len(text) // 2])
    before = {name: Path(name).read_bytes() for name in files_of(folder)}
    result = edgewright_verb("tune", "net.onnx", "-o", "new.json", *arguments, "--json")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert json.loads(result.stdout)["exit_status"] == 2
    assert {name: Path(name).read_bytes() for name in files_of(folder)} == before


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.json", "cannot be read (No such file"), ("net.onnx", "cannot be read (it is no text)")],
)
def test_compile_refuses_what_is_no_records(folder: Path, name: str, message: str) -> None:
    result = edgewright_verb("compile", "net.onnx", "-o", "out", "--records", name)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("out").exists()
