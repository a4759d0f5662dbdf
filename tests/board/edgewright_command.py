"""Runs the command line as a user of a board does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgewright.deploy.bundle import hash_file
from tests.board.emulated_board import EmulatedBoard
from tests.board.ssh_access import SshAccess

__all__ = ["assert_refused", "bundle_at", "changed_bytes", "edgewright", "size_bytes"]

Finished = subprocess.CompletedProcess[str]


def edgewright(*arguments: str | Path, access: SshAccess, timeout_seconds: float = 300) -> Finished:
    """Run ``edgewright`` with the keys of emulated boards."""
    return subprocess.run(
        [sys.executable, "-m", "edgewright", *map(str, arguments)],
        env=access.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )


def assert_refused(done: Finished, *words: str) -> None:
    """Assert that the environment or the board was at fault, and the message says how.

    Args:
        done: the finished command.
        words: what the one paragraph must hold.
    """
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    message = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"


def bundle_at(board: EmulatedBoard, place: str, *bundles: Path) -> Path | None:
    """Which of some bundles a place of the board holds, each file of it and nothing else.

    Args:
        board: switched on.
        place: an absolute path.
        bundles: folders of this machine.

    Returns:
        The bundle; None if there is nothing at the place. Anything else fails the test.
    """
    script = f"test -e {place} || exit 0; cd {place} && find . -type f -exec sha256sum {{}} +"
    there = {}
    for line in board.shell(script).splitlines():
        digest, name = line.split("  ./")
        there[name] = digest
    if not there:
        return None
    for bundle in bundles:
        files = (path for path in bundle.rglob("*") if path.is_file())
        if there == {path.relative_to(bundle).as_posix(): hash_file(path) for path in files}:
            return bundle
    raise AssertionError(f"{place} holds no whole bundle: {sorted(there)}")


def size_bytes(bundle: Path) -> int:
    """Bytes of a bundle's files."""
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())


def changed_bytes(old: Path, new: Path) -> int:
    """Bytes of the files of a bundle that another one of the same layout does not have."""
    return sum(
        path.stat().st_size
        for path in new.rglob("*")
        if path.is_file() and path.read_bytes() != (old / path.relative_to(new)).read_bytes()
    )
