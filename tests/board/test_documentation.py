"""The commands of docs/boards.md, in order, on an emulated board that is called raspberrypi."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgewright.deploy.transport.ssh_machine import SSH_COMMAND
from tests.board.emulated_board import EmulatedBoard

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```sh board\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def environment(board: EmulatedBoard, folder: Path) -> dict[str, str]:
    """The user's own: an ssh configuration that knows the board, programs, a home folder."""
    config = folder / "ssh-config"
    config.write_text(
        board.access.config.read_text().replace(
            "Host 127.0.0.1\n", f"Host raspberrypi\n  HostName 127.0.0.1\n  Port {board.port}\n"
        )
    )
    programs = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "EXAMPLES": str(ROOT / "examples" / "on_board"),
        SSH_COMMAND: f"ssh -F {config}",
    }


def test_every_command_of_the_documentation_works(board: EmulatedBoard, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "boards.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 7
    known = environment(board, tmp_path)
    said = ""
    for text in blocks:
        done = subprocess.run(
            ["sh", "-eux", "-c", text],
            cwd=tmp_path,
            env=known,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert "selftest: PASS" in said and "Use " in said and "verdict" in said
    _run_the_example(board, tmp_path)
    board.shell("rm -rf models .cache edgewright", user="pi")


def _run_the_example(board: EmulatedBoard, folder: Path) -> None:
    """What the last block built, with the board's own C library."""
    board.send(folder / "classify", "/tmp/classify")
    bundle = "models/lenet5"
    command = f"/tmp/classify {bundle}/weights.bin {bundle}/golden/input0.bin 2"
    rows = [line.split() for line in board.shell(command, user="pi").splitlines()]
    scores = np.array([float(score) for _, score in rows])
    expected = np.fromfile(folder / "lenet5-rpi4" / "golden" / "output0.bin", np.float32)
    np.testing.assert_allclose(scores, expected, atol=1e-4 * np.abs(expected).max())
    board.shell("rm /tmp/classify")
