"""What runs programs under QEMU: newer interfaces, and every way it can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgewright.deploy.counting import plugin as plugin_module
from edgewright.deploy.counting.counts import Counts, parse_marks
from edgewright.deploy.counting.emulator import CountingEmulator, find_counting_qemu
from edgewright.deploy.counting.plugin import build_plugin, cache_folder
from edgewright.spec.errors import EnvironmentFailure, ToolError

FAKE_QEMU = Path(__file__).parent / "fake_qemu.c"
TRUE = Path("/bin/true")


def write_script(folder: Path, text: str) -> None:
    """A program named qemu-aarch64 that says something and fails."""
    path = folder / "qemu-aarch64"
    version = "if [ \"$1\" = --version ]; then echo 'qemu version 1.2.3'; exit; fi"
    path.write_text(f'#!/bin/sh\n{version}\necho "{text}" >&2\nexit 1\n')
    path.chmod(0o755)


@pytest.fixture
def path_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_newer_plugin_interface_is_served(path_first: Path) -> None:
    compiler = shutil.which("gcc")
    assert compiler is not None, "gcc is not installed: apt install gcc"
    program = path_first / "qemu-aarch64"
    command = [compiler, "-rdynamic", str(FAKE_QEMU), "-o", str(program), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    emulator = CountingEmulator("aarch64", "cortex-a72")
    seen: list[int] = []
    done, marks = emulator.run(TRUE, [], passed=seen.append)
    assert done.status == 0
    assert [mark.point for mark in marks] == [0, 1]
    assert marks[0].counts == Counts()
    assert marks[1].counts == Counts(
        simd_mac=5, simd_load=5, branch=5, mac_lanes=20, bytes_loaded=80
    )
    assert emulator.version() == "qemu-aarch64 9.9.9"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("qemu: unknown option 'plugin'", "built without plugins.*qemu-user of Debian 12"),
        ("Could not load plugin x: this QEMU supports only up to version 0", "too old"),
        ("Could not load plugin x: wrong ELF class", "does not load the instruction counter"),
        ("qemu: unable to find CPU model 'cortex-a72'", "does not know the core.*--cpu"),
        ("this QEMU supports only a minimum version of 99", "wants plugins of version 99"),
    ],
)
def test_what_qemu_refuses_is_explained(path_first: Path, said: str, expected: str) -> None:
    write_script(path_first, said)
    with pytest.raises(ToolError, match=expected):
        CountingEmulator("aarch64", "cortex-a72").run(TRUE, [])


def test_the_static_emulator_cannot_count(path_first: Path) -> None:
    static = shutil.which("qemu-aarch64-static")
    assert static is not None, "qemu-aarch64-static is missing: apt install qemu-user-static"
    (path_first / "qemu-aarch64").symlink_to(static)
    with pytest.raises(ToolError, match="built without plugins"):
        CountingEmulator("aarch64", "cortex-a72").run(TRUE, [])


def test_without_qemu_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"'qemu-arm' is not on the PATH.*install qemu-user\."):
        find_counting_qemu("arm")


def test_a_failing_program_has_no_marks(path_first: Path) -> None:
    write_script(path_first, "error: something of the program")
    done, marks = CountingEmulator("aarch64", "cortex-a72").run(TRUE, [])
    assert (done.status, marks) == (1, ())
    assert "something of the program" in done.why


def test_counts_that_were_cut_off_are_refused(path_first: Path) -> None:
    (path_first / "qemu-aarch64").write_text("#!/bin/sh\nexit 0\n")
    (path_first / "qemu-aarch64").chmod(0o755)
    with pytest.raises(ToolError, match="wrote no usable counts"):
        CountingEmulator("aarch64", "cortex-a72").run(TRUE, [])


@pytest.mark.parametrize(
    ("text", "reason"), [("", "does not begin"), ("point a b\n1 2 3\nend\n", "does not begin")]
)
def test_a_file_of_something_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_marks(text)


def test_the_plugin_is_built_once_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgewright" / "plugins"
    first = build_plugin(1)
    before = first.stat().st_mtime_ns
    assert build_plugin(1) == first and first.stat().st_mtime_ns == before
    assert build_plugin(2) != first
    assert sorted(path.suffix for path in cache_folder().iterdir()) == [".so", ".so"]


def test_zig_builds_the_plugin_where_there_is_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zig = plugin_module._compilers()[-1]
    assert zig[-1] == "cc", "ziglang is not installed"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(plugin_module, "_compilers", lambda: [["no-such-compiler"], zig])
    assert build_plugin(1).stat().st_size > 0


def test_without_any_compiler_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(plugin_module, "_compilers", list)
    with pytest.raises(ToolError, match=r"no C compiler.*apt-get install gcc"):
        build_plugin(1)
    assert list(cache_folder().iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edgewright").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match="XDG_CACHE_HOME"):
        build_plugin(1)
