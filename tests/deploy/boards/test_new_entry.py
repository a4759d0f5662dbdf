"""Reports become entries of the user's own, which the registry reads."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edgewright.deploy.boards.board import Caches
from edgewright.deploy.boards.new_entry import describe_board, save_entry
from edgewright.deploy.boards.registry import load_board
from edgewright.spec.errors import OutputError, TargetError
from tests.deploy.boards.probe_outputs import RECORDS, report_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "edgewright" / "boards"


@pytest.mark.parametrize("record", RECORDS)
def test_every_recorded_board_becomes_an_entry(record: str, folder: Path) -> None:
    arch = "armv7l" if "neon" in report_of(record).features or record == "rpi0" else "aarch64"
    report = report_of(record, arch=arch, bits=32 if arch == "armv7l" else 64, libc="glibc 2.28")
    assert save_entry(describe_board(report), "mine") == folder / "mine.toml"
    board = load_board("mine")
    assert board.own and board.glibc == "2.28" and board.features == report.features
    assert sum(c.count for c in board.clusters) == sum(len(c.cpus) for c in report.clusters)
    assert board.target.arch == ("arm" if arch == "armv7l" else "aarch64")
    assert os.listdir(folder) == ["mine.toml"]


def test_what_was_measured_is_what_is_written() -> None:
    report = report_of(
        "rk3399",
        model='Board "with" quotes, a \\ and \x7f\x1b[1m☃',
        compatible=["acme,board", "rockchip,rk3399"],
        clocks=[1512] * 4 + [2016] * 2,
        sysfs=["cpu4 cache 1 Data 32K 4", "cpu4 cache 2 Unified 1024K 4-5"],
        memory_kib=3_900_000,
    )
    save_entry(describe_board(report), "mine")
    board = load_board("mine")
    assert board.title == 'Board "with" quotes, a \\ and [1m☃'
    assert board.soc == "rockchip,rk3399"
    assert board.compatible == ("acme,board",)
    assert [(c.core, c.count, c.clock_mhz) for c in board.clusters] == [
        ("cortex-a53", 4, 1512),
        ("cortex-a72", 2, 2016),
    ]
    assert (board.default_cluster, board.default_threads) == (1, 2)
    assert board.caches == Caches(32, 1024, True, 0)
    assert (board.memory_mb, board.images[0].name) == (
        3808,
        "Debian GNU/Linux 11 (bullseye), 64-bit",
    )
    assert board.sources == {"all": "edgewright boards detect, ssh://pi@board"}


def test_the_kernels_capacities_decide_among_fast_cores() -> None:
    # Four Cortex-A57 get more done than two Denver 2, unless the kernel says otherwise.
    plain = describe_board(report_of("jetson-tx2", clocks=[2035] * 5))
    assert "default_cluster = 0\ndefault_threads = 3\n" in plain
    told = describe_board(report_of("jetson-tx2", capacities=[500, 1024, 1024, 500, 500]))
    assert "default_cluster = 1\ndefault_threads = 2\n" in told


def test_a_32_bit_system_gets_32_bit_code() -> None:
    text = describe_board(report_of("rpi3-32-bit", bits=32))
    assert 'core = "cortex-a7"  # cortex-a53 with a 32-bit system' in text
    save_entry(text, "mine")
    assert load_board("mine").target.mtriple == "armv7l-unknown-linux-gnueabihf"


def test_what_the_kernel_does_not_say_is_marked() -> None:
    text = describe_board(report_of("rk3568"))
    assert "clock_mhz = 0  # the kernel does not say" in text
    assert "# The kernel does not show all" in text
    musl = describe_board(report_of("rk3568", libc="musl libc (aarch64)"))
    assert "# It has musl: only the static programs run." in musl
    save_entry(musl, "mine")
    assert load_board("mine").glibc == "2.17"


def test_cores_that_edgewright_does_not_know_are_left_out_or_refused() -> None:
    report = report_of("rk3399")
    little, big = report.clusters
    unknown = replace(big, core=None, part="0x41:0xfff")
    text = describe_board(replace(report, clusters=(unknown, little)))
    assert text.count("[[clusters]]") == 1 and 'core = "cortex-a53"' in text
    with pytest.raises(
        TargetError,
        match=r"the cores of 'ssh://pi@board' \(0x41:0xfff, cortex-a77\) are not among .*"
        r"Known cores are arm1176.*as JSON",
    ):
        describe_board(replace(report, clusters=(unknown, replace(big, core="cortex-a77"))))
    with pytest.raises(TargetError, match=r"the cores of 'ssh://pi@board' \(unknown\)"):
        describe_board(replace(report, clusters=()))


def test_a_machine_that_is_no_arm_board() -> None:
    with pytest.raises(TargetError, match=r"no ARM board \(its kernel is for x86_64\)\. .*host"):
        describe_board(report_of("rk3588", arch="x86_64"))


def test_an_entry_is_not_replaced_unasked(folder: Path) -> None:
    text = describe_board(report_of("rk3568"))
    place = save_entry(text, "mine")
    with pytest.raises(OutputError, match=r"the board 'mine' exists already .*another name"):
        save_entry(text + "#", "mine")
    assert place.read_text() == text
    assert save_entry(text + "#", "mine", replace=True).read_text() == text + "#"
    assert place.stat().st_mode & 0o777 == 0o644


def test_a_name_that_is_taken(folder: Path) -> None:
    with pytest.raises(TargetError, match="'rpi4' cannot be the name of a board of your own"):
        save_entry("", "rpi4")
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "edgewright").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match=r"mine\.toml' cannot be written \(.*XDG_CONFIG_HOME"):
        save_entry("", "mine")
    assert os.listdir(tmp_path) == ["edgewright"]
