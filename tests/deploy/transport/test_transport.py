from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from edgewright.deploy.transport.host import HostTransport
from edgewright.deploy.transport.qemu import QemuTransport, find_qemu
from edgewright.deploy.transport.transport import Completed, run_program
from edgewright.spec.errors import ToolError
from edgewright.spec.target import CORES


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_program_runs_to_its_end(tmp_path: Path) -> None:
    program = script(tmp_path / "p", 'echo "got $1"; echo bad >&2; exit 3')
    done = HostTransport().run(program, ["one"], timeout_seconds=10)
    assert done == Completed(3, "got one\n", "bad\n")
    assert done.why == "exit status 3: bad"


def test_a_program_reads_no_input(tmp_path: Path) -> None:
    program = script(tmp_path / "p", "cat; echo end")
    assert HostTransport().run(program, [], timeout_seconds=10).stdout == "end\n"


@pytest.mark.parametrize(
    ("done", "why"),
    [
        (Completed(-11, "", ""), "killed by SIGSEGV"),
        (Completed(2, "", ""), "exit status 2"),
        (Completed(2, "first\nlast\n", ""), "exit status 2: last"),
    ],
)
def test_an_end_is_put_into_words(done: Completed, why: str) -> None:
    assert done.why == why


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(ToolError, match=r"did not end within 0\.2 seconds"):
        run_program(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            timeout_seconds=0.2,
        )


def test_a_program_that_cannot_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="could not be started .No such file"):
        HostTransport().run(tmp_path / "absent", [], timeout_seconds=1)


@pytest.mark.parametrize("name", ["qemu-arm-static", "qemu-arm"])
def test_either_build_of_qemu_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    script(tmp_path / name, 'echo "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_qemu("arm") == str(tmp_path / name)
    transport = QemuTransport(CORES["cortex-a7"])
    assert transport.name == "qemu cortex-a7"
    done = transport.run(Path("selftest"), ["--run", "a"], timeout_seconds=10)
    assert done.stdout == "-cpu cortex-a7 selftest --run a\n"
