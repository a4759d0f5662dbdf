"""The emulated board is a board: these tests show what the others build upon."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.board.emulated_board import EmulatedBoard
from tests.board.ssh_access import SshAccess


def test_it_is_a_cortex_a72_with_two_cores_and_debian_12(board: EmulatedBoard) -> None:
    cpuinfo = board.shell("cat /proc/cpuinfo")
    assert cpuinfo.count("CPU part\t: 0xd08") == 2
    assert "asimd" in cpuinfo and "atomics" not in cpuinfo
    assert board.shell("getconf GNU_LIBC_VERSION").split() == ["glibc", "2.36"]
    assert board.shell("uname -m").strip() == "aarch64"


def test_the_old_one_is_a_cortex_a76_with_debian_11(old_board: EmulatedBoard) -> None:
    assert old_board.shell("getconf GNU_LIBC_VERSION").split() == ["glibc", "2.31"]
    cpuinfo = old_board.shell("cat /proc/cpuinfo")
    assert cpuinfo.count("CPU part\t: 0xd0b") == 2
    assert "atomics" in cpuinfo and "asimddp" in cpuinfo


def test_files_survive_a_reboot_and_a_power_cut(breakable_board: EmulatedBoard) -> None:
    first = breakable_board.boot_id()
    breakable_board.shell("echo kept > /opt/file && sync")
    breakable_board.reboot()
    second = breakable_board.boot_id()
    assert breakable_board.shell("cat /opt/file") == "kept\n"
    breakable_board.shell("echo lost > /opt/unwritten")
    breakable_board.power_cut()
    assert len({first, second, breakable_board.boot_id()}) == 3
    assert breakable_board.shell("cat /opt/file") == "kept\n"
    # What was only in the board's memory is gone, or empty: the cut was one.
    assert "lost" not in breakable_board.shell("cat /opt/unwritten", check=False)


def test_a_compiled_model_proves_itself_there(
    board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path
) -> None:
    board.send(lenet5_rpi4, board_folder)
    selftest = f"{board_folder}/bin/selftest && echo status $?"
    assert "status 0" in board.shell(selftest)
    board.shell(f"for f in {board_folder}/golden/*; do head -c 99 $f > $f.cut; mv $f.cut $f; done")
    assert "status 0" not in board.shell(selftest, check=False)


def test_the_small_disk_is_full_when_it_is_full(board: EmulatedBoard) -> None:
    free = 1024 * int(board.shell("df -kP /mnt/small | tail -1").split()[3])
    assert 4 << 20 < free < 8 << 20
    try:
        board.shell(f"head -c {free // 2} /dev/zero > /mnt/small/half")
        refused = board.shell(f"head -c {free} /dev/zero > /mnt/small/all", check=False)
        assert "No space left on device" in refused
        assert board.shell("df -kP /mnt/small | tail -1").split()[3] == "0"
    finally:
        board.shell("rm -f /mnt/small/half /mnt/small/all")


def test_pi_owns_its_home_and_nothing_else(board: EmulatedBoard) -> None:
    assert board.shell("touch file && pwd && rm file", user="pi") == "/home/pi\n"
    assert "Permission denied" in board.shell("mkdir /opt/mine", user="pi", check=False)
    board.shell("cp /bin/true /mnt/noexec/true")
    assert "Permission denied" in board.shell("/mnt/noexec/true", check=False)
    assert "Read-only file system" in board.shell("touch /mnt/readonly/file", check=False)


def test_ssh_gets_in_only_if_the_board_is_the_one_expected(
    board: EmulatedBoard, tmp_path: Path
) -> None:
    def answer(access: SshAccess) -> subprocess.CompletedProcess[str]:
        command = ["ssh", "-F", str(access.config), "-o", "BatchMode=yes", "-p", str(board.port)]
        return subprocess.run(
            [*command, "pi@127.0.0.1", "id -un"], capture_output=True, text=True, check=False
        )

    assert answer(board.access).stdout == "pi\n"
    (tmp_path / "other").mkdir()
    refused = answer(board.access.another(tmp_path / "other"))
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr
