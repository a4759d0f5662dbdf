"""``edgewright boards detect`` on whole boards, over ssh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgewright.deploy.boards.registry import load_board
from tests.board.edgewright_command import edgewright
from tests.board.emulated_board import EmulatedBoard


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "edgewright" / "boards"


def detect(board: EmulatedBoard, *arguments: str) -> Any:
    done = edgewright(
        "boards", "detect", board.address(), "--json", *arguments, access=board.access
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_board_says_what_it_is(board: EmulatedBoard) -> None:
    found = detect(board)
    report = found["report"]
    (cluster,) = report["clusters"]
    assert (cluster["core"], cluster["part"], cluster["cpus"]) == (
        "cortex-a72",
        "0x41:0xd08",
        [0, 1],
    )
    assert (report["kernel_arch"], report["user_bits"], report["page_bytes"]) == (
        "aarch64",
        64,
        4096,
    )
    assert (report["glibc"], report["libc"]) == ("2.36", "glibc")
    assert "bookworm" in report["os_name"]
    assert 300 << 20 < report["available_bytes"] < report["memory_bytes"] < 513 << 20
    assert "asimd" in report["features"] and "atomics" not in report["features"]
    # QEMU's machine is no board of the registry.
    assert report["compatible"] == ["linux,dummy-virt"] and found["board"] is None


def test_an_old_board_becomes_an_entry_of_ones_own(
    old_board: EmulatedBoard, user_folder: Path
) -> None:
    found = detect(old_board, "--save", "old-board")
    assert found["saved"] == str(user_folder / "old-board.toml")
    board = load_board("old-board")
    assert (board.target.mcpu, board.default_threads, board.glibc) == ("cortex-a76", 2, "2.31")
    assert detect(old_board)["board"] == "old-board"
    assert detect(old_board)["differences"] == []


def test_a_board_that_is_not_there(board: EmulatedBoard) -> None:
    done = edgewright("boards", "detect", "ssh://root@127.0.0.1:1", access=board.access)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr and "127.0.0.1" in done.stderr
