"""The libgcc names and atomics that zig's runtime lacks on 32-bit ARM, run under emulation."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgewright.deploy.toolchain import copy_runtime
from edgewright.deploy.toolchain_zig import ZigToolchain
from edgewright.spec.target import parse_target

HERE = Path(__file__).parent


@pytest.mark.parametrize("core", ["cortex-a7", "arm1176", "arm926"])
def test_names_do_what_they_say(core: str, tmp_path: Path) -> None:
    if shutil.which("qemu-arm-static") is None:
        pytest.fail("qemu-arm-static is not installed: apt install qemu-user-static")
    toolchain = ZigToolchain(parse_target(core))
    copy_runtime(tmp_path)
    shutil.copyfile(HERE / "arm_names_checks.c", tmp_path / "checks.c")
    names = toolchain.compile(
        tmp_path, toolchain.extra_sources, static=True, flags=["-Wall", "-Wextra", "-Werror"]
    )
    checks = toolchain.compile(
        tmp_path,
        ["checks.c"],
        static=True,
        flags=["-fno-builtin", "-Wno-builtin-requires-header"],
    )
    toolchain.link_executable(tmp_path, [*checks, *names], "checks")
    done = subprocess.run(
        ["qemu-arm-static", "-cpu", core, str(tmp_path / "checks")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
