"""Deployments to 32-bit boards: recorded answers, and programs under QEMU's user mode."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgewright.deploy.bench_machine import Placement, bench_once
from edgewright.deploy.bundle import BundleFolder, read_bundle
from edgewright.deploy.deploy import deploy_bundle
from edgewright.deploy.transport.local_machine import LocalMachine
from edgewright.deploy.transport.transport import Completed
from edgewright.spec.errors import BoardError
from tests.deploy.boards.probe_outputs import probe_output
from tests.deploy.fake_compiled import write_fake_bundle

#: By target: the record of its board, what its kernel calls itself, and the core that QEMU has.
BOARDS = {
    "rpi2": ("rpi2", "armv7l", "cortex-a7"),
    "rpi0": ("rpi0", "armv6l", "arm1176"),
}


class QemuBoard(LocalMachine):
    """This machine's files, a recorded board's answers, and programs on an emulated CPU."""

    def __init__(self, target: str) -> None:
        super().__init__()
        record, arch, core = BOARDS[target]
        self.name = f"ssh://pi@{target}"
        self._probe = probe_output(record, arch=arch, bits=32)
        self._emulator = f"qemu-arm-static -cpu {core} ./bin/"

    def shell(self, script: str, *, timeout_seconds: float) -> Completed:
        if "@@%s" in script:  # probe.sh
            return Completed(0, self._probe, "")
        emulated = script.replace("./bin/", self._emulator)
        return super().shell(emulated, timeout_seconds=timeout_seconds)


@pytest.fixture(scope="module", params=list(BOARDS))
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> BundleFolder:
    if shutil.which("qemu-arm-static") is None:
        pytest.skip("qemu-arm-static is not installed (qemu-user-static)")
    return write_fake_bundle(tmp_path_factory.mktemp(request.param) / "out", request.param)


def test_a_bundle_is_checked_proven_and_measured(bundle: BundleFolder, tmp_path: Path) -> None:
    board = QemuBoard(bundle.manifest.board)
    done = deploy_bundle(bundle, board, str(tmp_path / "net"))
    assert done.selftest.startswith("PASS")
    checks = {check.what: check for check in done.checks}
    assert checks["architecture"].needs == "arm" and not checks["architecture"].note
    assert read_bundle(tmp_path / "net").manifest == bundle.manifest
    measured = bench_once(
        bundle, board, str(tmp_path / "net"), Placement(1), repeats=3, profile=True
    )
    assert measured.timing.repeats == 3 and measured.layers
    assert measured.peak_gflops and measured.peak_gflops > 0


def test_a_newer_core_than_the_boards_is_refused(
    bundle: BundleFolder, tmp_path: Path, rpi4_bundle: Path
) -> None:
    board = QemuBoard(bundle.manifest.board)
    with pytest.raises(BoardError, match="the bundle is for rpi4 .aarch64.") as caught:
        deploy_bundle(read_bundle(rpi4_bundle), board, str(tmp_path / "net"))
    assert "32-bit system" in caught.value.rule
    assert list(tmp_path.iterdir()) == []
    if bundle.manifest.board == "rpi2":
        with pytest.raises(BoardError, match="lack instructions of"):
            deploy_bundle(bundle, QemuBoard("rpi0"), str(tmp_path / "net"))
        assert list(tmp_path.iterdir()) == []
