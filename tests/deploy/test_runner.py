from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import numpy as np
import pytest

from edgewright.deploy.bundle import BundleFolder, read_bundle
from edgewright.deploy.runner import SelftestRunner, open_runner
from edgewright.deploy.transport.transport import Completed
from edgewright.spec.errors import TensorError, ToolError, UsageError
from tests.deploy.fake_compiled import write_fake_bundle


@pytest.fixture
def host(host_bundle: Path) -> BundleFolder:
    return read_bundle(host_bundle)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_library_computes_the_golden_outputs(host: BundleFolder, threads: int) -> None:
    golden = host.golden()
    with open_runner(host, "host", threads=threads) as runner:
        assert runner.name == f"host, {threads} thread{'s' if threads > 1 else ''}"
        outputs = runner.infer(golden.inputs)
        again = runner.infer(golden.inputs)
    for name, expected in golden.outputs.items():
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-6)
        np.testing.assert_array_equal(outputs[name], again[name])


@pytest.mark.parametrize("embed", [False, True], ids=["file", "embed"])
def test_the_emulated_program_computes_the_golden_outputs(tmp_path: Path, embed: bool) -> None:
    folder = write_fake_bundle(tmp_path / "out", "rpi4", embed_weights=embed)
    golden = folder.golden()
    with open_runner(folder, "qemu", threads=2) as runner:
        assert runner.name == "qemu cortex-a72"
        outputs = runner.infer(golden.inputs)
    for name, expected in golden.outputs.items():
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-6)


def test_a_bundle_that_takes_anothers_place_is_the_one_that_runs(tmp_path: Path) -> None:
    first = write_fake_bundle(tmp_path / "out", "host")
    golden = first.golden()
    with open_runner(first) as runner:
        before = runner.infer(golden.inputs)["z"]
    (tmp_path / "out").rename(tmp_path / "old")
    second = write_fake_bundle(tmp_path / "out", "host", embed_weights=True)
    (tmp_path / "old" / "weights.bin").unlink()
    with open_runner(second) as runner:  # the old library would ask for weights.bin
        np.testing.assert_array_equal(runner.infer(golden.inputs)["z"], before)


def test_inputs_that_do_not_fit_are_refused(host: BundleFolder) -> None:
    with open_runner(host) as runner, pytest.raises(TensorError, match="'bias' is missing"):
        runner.infer({"x": np.zeros((2, 37), np.float32)})


def test_a_kernel_that_fails_is_reported(host: BundleFolder) -> None:
    inputs = dict(host.golden().inputs)
    inputs["x"] = np.full((2, 37), -1000, np.float32)
    with open_runner(host) as runner, pytest.raises(ToolError, match="failed to run"):
        runner.infer(inputs)


def test_another_architecture_is_refused_with_a_way_out(
    rpi4_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(UsageError, match="is for rpi4 .aarch64., and this machine is x86_64") as e:
        open_runner(read_bundle(rpi4_bundle), "host")
    assert "--on qemu" in e.value.remedy


def test_an_older_cpu_is_refused_before_it_meets_an_illegal_instruction(
    host: BundleFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    newer = dataclasses.replace(host.manifest.target, mtriple="x86_64-linux-gnu", mcpu="x86-64-v4")
    bundle = BundleFolder(host.path, dataclasses.replace(host.manifest, target=newer))
    older = dataclasses.replace(newer, mcpu="x86-64-v3")
    monkeypatch.setattr("edgewright.deploy.runner.host_target", lambda: older)
    with pytest.raises(UsageError, match="uses instructions of x86-64-v4") as caught:
        open_runner(bundle, "host")
    assert "--target host" in caught.value.remedy


@pytest.mark.parametrize(
    ("on", "error", "message"),
    [
        ("ssh://pi:secret@board", UsageError, "holds a password"),
        ("moon", UsageError, "unknown place to run on, 'moon'"),
    ],
)
def test_other_places_are_refused(
    host: BundleFolder, on: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_runner(host, on)


@pytest.mark.parametrize("threads", [0, -1, 65])
def test_threads_out_of_range_are_refused(host: BundleFolder, threads: int) -> None:
    with pytest.raises(UsageError, match="threads were asked for"):
        open_runner(host, threads=threads)


def test_a_missing_emulator_is_named_with_its_package(
    rpi4_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="'qemu-aarch64-static'") as caught:
        open_runner(read_bundle(rpi4_bundle), "qemu")
    assert "apt-get install qemu-user-static" in caught.value.remedy


@dataclasses.dataclass
class CrashingTransport:
    name: str = "qemu old"

    def run(self, program: Path, arguments: object, *, timeout_seconds: float) -> Completed:
        return Completed(-4, "", "")


def test_a_program_that_crashes_is_reported_with_its_signal(host: BundleFolder) -> None:
    with (
        SelftestRunner(host, CrashingTransport()) as runner,
        pytest.raises(ToolError, match="failed on qemu old .killed by SIGILL."),
    ):
        runner.infer(host.golden().inputs)
