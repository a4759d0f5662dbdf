"""A deployment on this machine and, in parts, over ssh: what is there before, while and after."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from edgewright.deploy.bundle import BundleFolder, hash_file, read_bundle
from edgewright.deploy.deploy import deploy_bundle
from edgewright.deploy.manifest import FileEntry, dump_manifest
from edgewright.deploy.transport.local_machine import LocalMachine
from edgewright.deploy.transport.machine import Sent, ignore_sent
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.deploy.transport.transport import Completed
from edgewright.spec.errors import BoardError, VerificationError
from tests.deploy.fake_compiled import write_fake_bundle
from tests.deploy.transport.loopback_sshd import LoopbackSshd


@pytest.fixture
def bundle(host_bundle: Path) -> BundleFolder:
    return read_bundle(host_bundle)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> BundleFolder:
    """The next version: the weights are inside the library."""
    folder = tmp_path_factory.mktemp("other") / "out"
    return write_fake_bundle(folder, "host", embed_weights=True)


def works(place: Path) -> bool:
    done = subprocess.run([place / "bin" / "selftest"], capture_output=True, check=False)
    return done.returncode == 0


def test_the_first_deployment_brings_everything(bundle: BundleFolder, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    place = tmp_path / "deep" / "net"
    done = deploy_bundle(
        bundle, LocalMachine(), str(place), progress=lambda *told_now: told.append(told_now)
    )
    assert done.place == str(place) and done.kept_files == 0
    assert done.sent_files == len(bundle.manifest.files) + 1
    assert done.selftest.startswith("PASS") and works(place)
    assert [check.what for check in done.checks][-1] == "disk"
    assert read_bundle(place).manifest == bundle.manifest
    assert {stage for stage, _ in told} == {"check", "copy", "selftest"}


def test_the_second_sends_only_what_changed(
    bundle: BundleFolder, other: BundleFolder, tmp_path: Path
) -> None:
    place = str(tmp_path / "net")
    machine = LocalMachine()
    deploy_bundle(bundle, machine, place)
    again = deploy_bundle(bundle, machine, place)
    assert (again.sent_files, again.sent_bytes) == (0, 0)
    assert again.kept_files == len(bundle.manifest.files) + 1
    assert again.selftest.startswith("PASS")
    changed = deploy_bundle(other, machine, place)
    same = {entry.sha256 for entry in bundle.manifest.files.values()}
    expected = [n for n, entry in other.manifest.files.items() if entry.sha256 not in same]
    assert changed.sent_files == len(expected) + 1  # and the manifest
    assert read_bundle(Path(place)).manifest == other.manifest and works(Path(place))
    versions = list((tmp_path / ".net.versions").iterdir())
    assert len(versions) == 1  # the old one is gone


def test_a_damaged_file_there_is_sent_again(bundle: BundleFolder, tmp_path: Path) -> None:
    place = tmp_path / "net"
    deploy_bundle(bundle, LocalMachine(), str(place))
    (place / "weights.bin").write_bytes(bytes(10))
    done = deploy_bundle(bundle, LocalMachine(), str(place))
    assert done.sent_files == 1 and works(place) and read_bundle(place)


@pytest.mark.parametrize("was", ["folder", "empty"])
def test_a_folder_that_was_copied_by_hand_is_replaced(
    bundle: BundleFolder, other: BundleFolder, tmp_path: Path, was: str
) -> None:
    place = tmp_path / "net"
    if was == "folder":
        shutil.copytree(bundle.path, place)
    else:
        place.mkdir()
    deploy_bundle(other, LocalMachine(), str(place))
    assert place.is_symlink() and works(place)
    assert read_bundle(place).manifest == other.manifest


@pytest.mark.parametrize("was", ["folder", "file"])
def test_what_is_no_bundle_is_never_touched(
    bundle: BundleFolder, tmp_path: Path, was: str, tree_of: Callable[[Path], set[str]]
) -> None:
    place = tmp_path / "net"
    if was == "folder":
        place.mkdir()
        (place / "thesis.txt").write_text("mine")
    else:
        place.write_text("mine")
    before = tree_of(tmp_path)
    with pytest.raises(BoardError, match="is there already and is no bundle"):
        deploy_bundle(bundle, LocalMachine(), str(place))
    assert tree_of(tmp_path) == before


def test_a_place_that_cannot_be_written_is_refused(bundle: BundleFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BoardError, match="to make a place") as caught:
        deploy_bundle(bundle, LocalMachine(), str(tmp_path / "file" / "net"))
    assert caught.value.exit_status == 3


def test_a_home_folder_is_the_users(
    bundle: BundleFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert deploy_bundle(bundle, LocalMachine(), "~/my nets/net").place == str(
        tmp_path / "my nets" / "net"
    )
    assert deploy_bundle(bundle, LocalMachine()).place == str(tmp_path / "edgewright" / "fake")


class Breaking(LocalMachine):
    """Loses the connection at the n-th call of a kind, and for good."""

    def __init__(self, kind: str, number: int) -> None:
        super().__init__()
        self.kind = kind
        self.left = number
        self.lost = False

    def _count(self, kind: str) -> None:
        if kind == self.kind:
            self.left -= 1
        if self.left <= 0 or self.lost:
            self.lost = True
            raise BoardError("the connection was lost")

    def shell(self, script: str, *, timeout_seconds: float) -> Completed:
        self._count("shell")
        return super().shell(script, timeout_seconds=timeout_seconds)

    def send(
        self, files: Iterable[tuple[Path, str]], folder: str, *, sent: Sent = ignore_sent
    ) -> None:
        files = list(files)
        if self.kind == "send":
            super().send(files[:2], folder)
            place = Path(folder) / files[2][1]
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(files[2][0].read_bytes()[:100])
        self._count("send")
        super().send(files, folder, sent=sent)


@pytest.mark.parametrize(
    ("kind", "number"), [("send", 1), *(("shell", number) for number in range(1, 7))]
)
def test_a_lost_connection_leaves_the_old_version(
    bundle: BundleFolder, other: BundleFolder, tmp_path: Path, kind: str, number: int
) -> None:
    place = tmp_path / "net"
    deploy_bundle(bundle, LocalMachine(), str(place))
    with pytest.raises(BoardError, match="the connection was lost"):
        deploy_bundle(other, Breaking(kind, number), str(place))
    assert read_bundle(place).manifest == bundle.manifest and works(place)
    deploy_bundle(other, LocalMachine(), str(place))
    assert read_bundle(place).manifest == other.manifest and works(place)
    assert len(list((tmp_path / ".net.versions").iterdir())) == 1


def test_the_last_call_is_the_switch(
    bundle: BundleFolder, other: BundleFolder, tmp_path: Path
) -> None:
    """So that the test above has tried every one."""
    deploy_bundle(bundle, LocalMachine(), str(tmp_path / "net"))
    deploy_bundle(other, Breaking("shell", 7), str(tmp_path / "net"))


def test_other_numbers_never_take_the_place(bundle: BundleFolder, tmp_path: Path) -> None:
    place = tmp_path / "net"
    deploy_bundle(bundle, LocalMachine(), str(place))
    wrong = write_fake_bundle(tmp_path / "wrong", "host", embed_weights=True)
    golden = wrong.path / "golden" / "output0.bin"
    golden.write_bytes(bytes(len(golden.read_bytes())))
    entry = FileEntry(hash_file(golden), golden.stat().st_size)
    files = {**wrong.manifest.files, "golden/output0.bin": entry}
    manifest = dataclasses.replace(wrong.manifest, files=files)
    (wrong.path / "manifest.json").write_text(dump_manifest(manifest))
    wrong = read_bundle(wrong.path)
    with pytest.raises(VerificationError, match="computes other numbers than the reference"):
        deploy_bundle(wrong, LocalMachine(), str(place))
    assert read_bundle(place).manifest == bundle.manifest and works(place)
    assert len(list((tmp_path / ".net.versions").iterdir())) == 1  # nothing is left of it


def test_it_is_the_same_over_ssh(
    bundle: BundleFolder, other: BundleFolder, tmp_path: Path, sshd: LoopbackSshd
) -> None:
    place = tmp_path / "a b" / "net's"
    with open_machine(sshd.address) as machine:
        done = deploy_bundle(bundle, machine, str(place))
        assert done.machine == sshd.address and works(place)
        assert deploy_bundle(other, machine, str(place)).kept_files > 0
    assert read_bundle(place).manifest == other.manifest and works(place)
