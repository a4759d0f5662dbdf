from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from edgewright.deploy.bundle import files_of, read_bundle
from edgewright.deploy.bundle_archive import pack_bundle, unpack_bundle
from edgewright.spec.errors import BundleError


def test_a_bundle_arrives_as_it_was(host_bundle: Path, tmp_path: Path) -> None:
    packed = pack_bundle(read_bundle(host_bundle))
    unpack_bundle(packed, tmp_path)
    arrived = read_bundle(tmp_path)
    assert sorted(files_of(tmp_path)) == sorted(files_of(host_bundle))
    for name in files_of(host_bundle):
        assert (tmp_path / name).read_bytes() == (host_bundle / name).read_bytes()
        assert os.access(tmp_path / name, os.X_OK) == os.access(host_bundle / name, os.X_OK)
    assert os.access(arrived.selftest, os.X_OK)


def test_the_same_bundle_is_the_same_bytes(host_bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(host_bundle, tmp_path / "copy"))
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert pack_bundle(read_bundle(copy)) == pack_bundle(read_bundle(host_bundle))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("../out", tarfile.REGTYPE), ("/tmp/out", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)],
)
def test_what_would_leave_the_folder_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/hostname"
        archive.addfile(entry)
    with pytest.raises(BundleError, match="is no file inside it"):
        unpack_bundle(packed.getvalue(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_bytes_are_refused(host_bundle: Path, tmp_path: Path) -> None:
    packed = pack_bundle(read_bundle(host_bundle))
    with pytest.raises(BundleError, match="arrived damaged"):
        unpack_bundle(packed[: len(packed) // 2 + 100], tmp_path)
