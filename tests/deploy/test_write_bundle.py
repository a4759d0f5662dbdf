from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgewright.deploy import write_bundle as module
from edgewright.deploy.toolchain import Toolchain
from edgewright.spec.errors import EnvironmentFailure, ToolError
from tests.deploy.fake_compiled import write_fake_bundle

#: What the library may take from the board: the C library's own names.
ALLOWED_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-aarch64.so.1"}


def dynamic_names(path: Path) -> tuple[set[str], set[str], set[str]]:
    """Undefined symbols, exported symbols and needed libraries."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = list(elf.get_section_by_name(".dynsym").iter_symbols())
        needed = {
            tag.needed
            for tag in elf.get_section_by_name(".dynamic").iter_tags()
            if tag.entry.d_tag == "DT_NEEDED"
        }
    undefined = {s.name for s in symbols if s.entry.st_shndx == "SHN_UNDEF" and s.name}
    exported = {s.name for s in symbols if s.entry.st_shndx != "SHN_UNDEF" and s.name}
    return undefined, exported, needed


def test_the_library_needs_the_c_library_only(rpi4_bundle: Path) -> None:
    undefined, exported, needed = dynamic_names(rpi4_bundle / "lib" / "libfake.so")
    assert not [name for name in undefined if "TVM" in name or "tvm" in name]
    assert undefined
    assert needed <= ALLOWED_LIBRARIES
    assert all(name.startswith("ew_") or name == "fake_program" for name in exported)
    assert "fake_program" in exported


def test_the_programs_are_static(rpi4_bundle: Path) -> None:
    for program in ("selftest", "bench"):
        with (rpi4_bundle / "bin" / program).open("rb") as stream:
            elf = ELFFile(stream)
            assert elf.get_section_by_name(".interp") is None
            assert (
                elf.get_section_by_name(".dynamic") is None
                or not dynamic_names(rpi4_bundle / "bin" / program)[2]
            )


def test_the_selftest_proves_the_bundle_where_it_stands(host_bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(host_bundle, tmp_path / "moved"))
    done = subprocess.run(
        [moved / "bin" / "selftest"], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("PASS\n")


def test_the_selftest_finds_wrong_numbers(host_bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(host_bundle, tmp_path / "moved"))
    (moved / "golden" / "output0.bin").write_bytes(bytes(296))
    done = subprocess.run([moved / "bin" / "selftest"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAIL" in done.stdout


def test_a_toolchain_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree_of: Callable[[Path], set[str]]
) -> None:
    def fail(self: Toolchain, *arguments: object, **keywords: object) -> None:
        raise ToolError("linking libfake.so failed: lld said: out of luck")

    monkeypatch.setattr(Toolchain, "link_shared", fail)
    with pytest.raises(ToolError, match="out of luck"):
        write_fake_bundle(tmp_path / "out", "host")
    assert tree_of(tmp_path) == {"fake.onnx"}


def test_a_linker_that_fills_the_disk_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree_of: Callable[[Path], set[str]]
) -> None:
    def fail(self: Toolchain, *arguments: object, **keywords: object) -> None:
        raise ToolError("linking libfake.so failed")

    usage = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(Toolchain, "link_shared", fail)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(EnvironmentFailure, match="the disk is full"):
        write_fake_bundle(tmp_path / "out", "host")
    assert tree_of(tmp_path) == {"fake.onnx"}
