"""`edgewright deploy` when something goes wrong: a clear message, and never half a bundle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.board.cut_connection import CutConnection
from tests.board.edgewright_command import (
    assert_refused,
    bundle_at,
    changed_bytes,
    edgewright,
    size_bytes,
)
from tests.board.emulated_board import EmulatedBoard


def through(network: CutConnection, place: str) -> str:
    return f"ssh://root@127.0.0.1:{network.port}{place}"


def test_a_cut_connection_leaves_nothing_where_nothing_was(
    board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path
) -> None:
    for share in (0.0, 0.3, 0.9):
        with CutConnection(board.port, 8000 + int(share * size_bytes(lenet5_rpi4))) as network:
            place = through(network, board_folder)
            lost = edgewright("deploy", lenet5_rpi4, place, access=board.access)
        assert_refused(lost, f"127.0.0.1:{network.port}", "lost")
        assert bundle_at(board, board_folder, lenet5_rpi4) is None
    again = edgewright("deploy", lenet5_rpi4, board.address(board_folder), access=board.access)
    assert again.returncode == 0, again.stderr
    assert bundle_at(board, board_folder, lenet5_rpi4) == lenet5_rpi4
    # Nothing of the other attempts is left beside it.
    kept = 1024 * int(board.shell(f"du -sk $(dirname {board_folder})").split()[0])
    assert kept < size_bytes(lenet5_rpi4) * 1.3


def test_an_interrupted_update_leaves_the_old_version_working(
    board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path, lenet5_retrained: Path
) -> None:
    first = edgewright("deploy", lenet5_rpi4, board.address(board_folder), access=board.access)
    assert first.returncode == 0, first.stderr
    # Before the copy, in its middle, and close to the end, where versions are switched.
    changed = changed_bytes(lenet5_rpi4, lenet5_retrained)
    for cut_at in (4000, 5000 + changed // 2, 9000 + changed):
        with CutConnection(board.port, cut_at) as network:
            update = through(network, board_folder)
            lost = edgewright("deploy", lenet5_retrained, update, access=board.access)
        assert_refused(lost, f"127.0.0.1:{network.port}")
        there = bundle_at(board, board_folder, lenet5_rpi4, lenet5_retrained)
        assert there is not None
        board.shell(f"cd {board_folder} && ./bin/selftest")
    done = edgewright("deploy", lenet5_retrained, board.address(board_folder), access=board.access)
    assert done.returncode == 0, done.stderr
    assert bundle_at(board, board_folder, lenet5_retrained) == lenet5_retrained


def test_a_silent_network_and_a_board_that_is_stuck_or_off_are_given_up(
    board: EmulatedBoard,
    board_folder: str,
    start_board: Callable[..., EmulatedBoard],
    lenet5_rpi4: Path,
) -> None:
    own = start_board(cores=1)
    own.freeze()
    with CutConnection(board.port, 100_000, silent=True) as network, ThreadPoolExecutor() as both:
        waits = [
            both.submit(edgewright, "deploy", lenet5_rpi4, address, access=board.access)
            for address in (through(network, board_folder), own.address())
        ]
        silent, stuck = (wait.result(timeout=90) for wait in waits)
    assert_refused(silent, f"127.0.0.1:{network.port}")
    assert bundle_at(board, board_folder, lenet5_rpi4) is None
    assert_refused(stuck, f"127.0.0.1:{own.port}")
    own.kill()
    off = edgewright("deploy", lenet5_rpi4, own.address(), access=own.access)
    assert_refused(off, f"127.0.0.1:{own.port}", "refuses connections")


def test_a_power_cut_during_the_copy_leaves_the_old_version(
    breakable_board: EmulatedBoard, lenet5_rpi4: Path, lenet5_retrained: Path
) -> None:
    place, access = "/opt/cut", breakable_board.access
    first = edgewright("deploy", lenet5_rpi4, breakable_board.address(place), access=access)
    assert first.returncode == 0, first.stderr
    with CutConnection(breakable_board.port, 100_000) as network:
        lost = edgewright("deploy", lenet5_retrained, through(network, place), access=access)
        breakable_board.power_cut()
    assert_refused(lost, "lost")
    assert bundle_at(breakable_board, place, lenet5_rpi4, lenet5_retrained) == lenet5_rpi4
    breakable_board.shell(f"cd {place} && ./bin/selftest")
    again = edgewright("deploy", lenet5_retrained, breakable_board.address(place), access=access)
    assert again.returncode == 0, again.stderr
    # What was reported as deployed is on the disk, not only in the board's memory.
    breakable_board.power_cut()
    assert bundle_at(breakable_board, place, lenet5_retrained) == lenet5_retrained


def test_a_board_that_restarts_in_the_middle_is_named(
    breakable_board: EmulatedBoard, lenet5_rpi4: Path
) -> None:
    with CutConnection(breakable_board.port, 100_000) as network:
        restart = threading.Thread(target=breakable_board.reboot)
        restart.start()
        lost = edgewright(
            "deploy", lenet5_rpi4, through(network, "/opt/restarted"), access=breakable_board.access
        )
        restart.join()
    assert_refused(lost, f"127.0.0.1:{network.port}")
    assert bundle_at(breakable_board, "/opt/restarted", lenet5_rpi4) is None


@pytest.fixture
def nearly_full(board: EmulatedBoard) -> object:
    """Fills the small disk up to some KiB; emptied again after the test."""
    yield lambda free_kib: board.shell(
        "free=$(df -kP /mnt/small | tail -1 | awk '{print $4}') && "
        f"head -c $(( (free - {free_kib}) * 1024 )) /dev/zero > /mnt/small/filling"
    )
    board.shell("rm -rf /mnt/small/filling /mnt/small/lenet5 /mnt/small/.lenet5*")


def test_a_disk_without_room_is_refused_before_anything_is_copied(
    board: EmulatedBoard, nearly_full: Callable[[int], str], lenet5_rpi4: Path
) -> None:
    nearly_full(100)
    with CutConnection(board.port) as network:
        place = through(network, "/mnt/small/lenet5")
        refused = edgewright("deploy", lenet5_rpi4, place, access=board.access)
    assert_refused(refused, "MiB free", "room")
    assert network.sent_bytes < 50_000
    assert board.shell("ls -A /mnt/small").split() == ["filling", "lost+found"]


def test_a_disk_that_fills_up_during_the_copy_keeps_the_old_version(
    board: EmulatedBoard,
    nearly_full: Callable[[int], str],
    lenet5_rpi4: Path,
    lenet5_retrained: Path,
) -> None:
    address = board.address("/mnt/small/lenet5")
    first = edgewright("deploy", lenet5_rpi4, address, access=board.access)
    assert first.returncode == 0, first.stderr
    # Somebody else fills the disk as soon as the copy begins.
    board.shell(
        "cd /mnt/small; (until [ -e .lenet5.versions/incoming ]; do :; done; "
        "cat /dev/zero > filling) >/dev/null 2>&1 </dev/null &"
    )
    refused = edgewright("deploy", lenet5_retrained, address, access=board.access)
    assert_refused(refused, "No space left on device", "Free some room")
    assert bundle_at(board, "/mnt/small/lenet5", lenet5_rpi4, lenet5_retrained) == lenet5_rpi4
    board.shell("cd /mnt/small/lenet5 && ./bin/selftest")


@pytest.mark.parametrize(
    ("user", "place", "words"),
    [
        ("pi", "/opt/mine", ["Permission denied", "/opt"]),
        ("pi", "/root/mine", ["/root", "may write to"]),
        ("root", "/mnt/readonly/mine", ["/mnt/readonly", "may write to"]),
        ("root", "/mnt/noexec/mine", ["noexec"]),
        ("root", "/etc", ["/etc", "no bundle"]),
    ],
)
def test_a_place_that_may_not_be_used_is_refused(
    board: EmulatedBoard, lenet5_rpi4: Path, user: str, place: str, words: list[str]
) -> None:
    refused = edgewright("deploy", lenet5_rpi4, board.address(place, user), access=board.access)
    assert_refused(refused, *words)
    left = board.shell("ls -A /opt /mnt/noexec; ls -d /root/* /.etc*", check=False)
    assert "mine" not in left and "versions" not in left


def test_a_board_with_another_host_key_is_not_talked_to(
    board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path, tmp_path: Path
) -> None:
    place = board.address(board_folder)
    (tmp_path / "other").mkdir()
    other = board.access.another(tmp_path / "other")
    changed = edgewright("deploy", lenet5_rpi4, place, access=other)
    assert_refused(changed, "another host key", "ssh-keygen -R", str(board.port))
    other.known_hosts.write_text("")
    unknown = edgewright("deploy", lenet5_rpi4, place, access=other)
    assert_refused(unknown, "not known", f"ssh -p {board.port}")
    assert other.known_hosts.read_text() == ""
    assert bundle_at(board, board_folder, lenet5_rpi4) is None


def test_a_user_who_may_not_log_in_is_named(board: EmulatedBoard, lenet5_rpi4: Path) -> None:
    refused = edgewright("deploy", lenet5_rpi4, board.address(user="nobody"), access=board.access)
    assert_refused(refused, "nobody@127.0.0.1", "ssh-copy-id")


def test_a_library_for_a_newer_c_library_is_refused_before_anything_is_copied(
    old_board: EmulatedBoard, lenet5_rpi5: Path
) -> None:
    with CutConnection(old_board.port) as network:
        place = through(network, "/opt/newer")
        refused = edgewright("deploy", lenet5_rpi5, place, access=old_board.access)
    assert_refused(refused, "glibc 2.31", "lib/liblenet5.so", "2.3", "symbol", "--toolchain zig")
    assert network.sent_bytes < 50_000
    assert "newer" not in old_board.shell("ls -A /opt")


def test_instructions_that_the_cores_lack_are_refused_before_anything_is_copied(
    board: EmulatedBoard, board_folder: str, lenet5_rpi5: Path
) -> None:
    with CutConnection(board.port) as network:
        place = through(network, board_folder)
        refused = edgewright("deploy", lenet5_rpi5, place, access=board.access)
    assert_refused(refused, "(lse)", "cortex-a76", "boards detect")
    assert network.sent_bytes < 50_000
    assert bundle_at(board, board_folder, lenet5_rpi5) is None
