"""Bad input to ``edgewright compile``: message, exit status, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from edgewright.cli.app import build_app
from tests.edgewright.small_network import save_network

Edit = Callable[[onnx.ModelProto], None]
EDGEWRIGHT = [sys.executable, "-m", "edgewright"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds the model and nothing else."""
    save_network(tmp_path / "net.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compile_here(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), ["compile", *(str(a) for a in arguments)])


def edited(folder: Path, edit: Edit) -> Path:
    """The model with something changed in it."""
    model = onnx.load(folder / "net.onnx")
    edit(model)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


def rename_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Frobnicate"


def foreign_domain(model: onnx.ModelProto) -> None:
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def refused_attribute(model: onnx.ModelProto) -> None:
    node = helper.make_node("SpaceToDepth", ["r1"], ["r2"], name="shuffle", blocksize=2)
    pool = helper.make_node(
        "LpPool", ["r2"], ["r3"], name="norm", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1
    )
    del model.graph.node[2:]
    model.graph.node.extend([node, pool])
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("r3", TensorProto.FLOAT, [1, 32, 4, 4])
    )
    model.opset_import[0].version = 18


def symbolic_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"


def zero_dimension(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0


def overflowing_dimension(model: onnx.ModelProto) -> None:
    for index in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[index].dim_value = 1 << 40


def external_data(place: str) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", place

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (rename_operator, "Frobnicate"),
        (foreign_domain, "com.example"),
        (refused_attribute, "ceil_mode"),
        (symbolic_batch, "--input-shape"),
        (zero_dimension, "image"),
        (overflowing_dimension, "image"),
        (external_data("absent.bin"), "absent.bin"),
        (external_data("../outside.bin"), "../outside.bin"),
    ],
    ids=[
        "unknown operator",
        "unknown domain",
        "refused attribute",
        "unbound symbolic dimension",
        "zero dimension",
        "overflowing dimension",
        "external data missing",
        "external data outside",
    ],
)
def test_a_model_that_cannot_be_compiled(folder: Path, edit: Edit, message: str) -> None:
    model = edited(folder, edit)
    result = compile_here(model, "-o", "made/out")
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir() == ["net.onnx"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"This is not a model.", "net.onnx"),
        (b"", "net.onnx"),
        (None, "net.onnx"),
        (onnx.GraphProto(name="a graph, no model").SerializeToString(), "net.onnx"),
    ],
    ids=["not ONNX", "empty", "truncated", "wrong protobuf"],
)
def test_a_file_that_is_no_model(folder: Path, content: bytes | None, message: str) -> None:
    whole = (folder / "net.onnx").read_bytes()
    (folder / "net.onnx").write_bytes(whole[: len(whole) // 2] if content is None else content)
    result = compile_here("net.onnx", "-o", "out")
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert os.listdir() == ["net.onnx"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["absent.onnx"], 2, "absent.onnx"),
        (["net.onnx", "-t", "rpi44"], 2, "Did you mean rpi4"),
        (["net.onnx", "-t", '{"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a999"}'], 2, "a999"),
        (["net.onnx", "-t", '{"mtriple": "riscv64-linux-gnu"}'], 2, "riscv64"),
        (
            ["net.onnx", "-t", '{"mtriple": "aarch64-linux-gnu", "mattr": "+warp"}'],
            2,
            "warp",
        ),
        (["net.onnx", "-t", "{"], 2, "not valid JSON"),
        (["net.onnx", "--input-shape", "image:1x3x17"], 2, "image"),
        (["net.onnx", "--input-shape", "image:4x3x16x16"], 2, "image"),
        (["net.onnx", "--input-shape", "nothing:1"], 2, "nothing"),
        (["net.onnx", "--conv-algorithm", "magic"], 2, "magic"),
        (["net.onnx", "--name", "a b"], 2, "the name 'a b' cannot be used"),
        (["net.onnx", "-o", "net.onnx"], 2, "exists and is no folder"),
        (["net.onnx", "-o", "net.onnx/below"], 2, "cannot be made"),
        (["net.onnx", "-o", "."], 2, "is not empty"),
        (["net.onnx", "-o", ".", "--force"], 2, "is not empty"),
        (["net.onnx", "-o", "/proc/edgewright"], 2, "cannot be written"),
    ],
)
def test_arguments_that_cannot_be_used(
    folder: Path, arguments: list[str], status: int, message: str
) -> None:
    result = compile_here(*arguments)
    assert result.exit_code == status, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir() == ["net.onnx"]


def test_an_absent_toolchain_has_status_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "empty").mkdir()
    monkeypatch.setenv("PATH", str(folder / "empty"))
    result = compile_here("net.onnx", "-t", "rpi4", "--toolchain", "gnu", "-o", "out")
    assert result.exit_code == 3, result.stderr
    assert "gcc-aarch64-linux-gnu" in result.stderr
    assert sorted(os.listdir()) == ["empty", "net.onnx"]


def test_errors_are_json_too(folder: Path) -> None:
    result = compile_here("net.onnx", "-t", "rpi44", "--json")
    assert result.exit_code == 2
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["exit_status"] == 2
    assert "rpi44" in document["error"]


def test_a_bundle_is_replaced_only_when_asked(folder: Path) -> None:
    assert compile_here("net.onnx", "-o", "out").exit_code == 0
    before = (folder / "out" / "manifest.json").stat().st_ino
    result = compile_here("net.onnx", "-o", "out")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (folder / "out" / "manifest.json").stat().st_ino == before
    result = compile_here("net.onnx", "-o", "out", "--force", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["bundle"] == "out"
    assert report["stage_seconds"]["link"] > 0
    assert (folder / "out" / "manifest.json").stat().st_ino != before
    assert sorted(os.listdir()) == ["net.onnx", "out"]


def test_the_default_folder_is_name_and_target(folder: Path) -> None:
    result = compile_here("net.onnx")
    assert result.exit_code == 0, result.stderr
    assert sorted(os.listdir()) == ["net-host", "net.onnx"]
    for word in ("Stages", "Kernels", "Sizes", "memory: activations", "Wrote net-host"):
        assert word in result.stdout


def test_a_full_disk_has_status_3_and_leaves_nothing(folder: Path) -> None:
    """On a file system with room for half a bundle, in a mount namespace of its own."""
    (folder / "disk").mkdir()
    script = (
        "mount -t tmpfs -o size=150k none disk || exit 77; "
        f'"{sys.executable}" -m edgewright compile net.onnx -o disk/made/out; '
        "status=$?; ls -A disk; exit $status"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr}")
    assert done.returncode == 3, done.stderr
    assert "the disk is full" in done.stderr
    assert "Free some space" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
@pytest.mark.parametrize("when", ["compiling", "linking"])
def test_an_interrupted_compile_leaves_nothing(
    folder: Path, number: signal.Signals, status: int, when: str
) -> None:
    (folder / "made").mkdir()
    process = subprocess.Popen(
        [*EDGEWRIGHT, "compile", "net.onnx", "-o", "made/out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 120
    if when == "compiling":
        wait_until(lambda: "libtvm" in Path(f"/proc/{process.pid}/maps").read_text(), end)
    else:
        wait_until(lambda: bool(os.listdir("made")), end)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == status, complaint
    assert complaint.endswith("nothing was left behind.\n")
    assert "Traceback" not in complaint
    assert os.listdir("made") == []


def wait_until(condition: Callable[[], bool], end: float) -> None:
    while not condition():
        assert time.monotonic() < end, "it did not come that far"
        time.sleep(0.005)
