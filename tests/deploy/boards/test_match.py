"""Which entry a machine is, and what is said of the differences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgewright.deploy.boards.board_report import BoardReport
from edgewright.deploy.boards.match import BoardMatch, match_board
from edgewright.deploy.boards.registry import Board, list_boards, load_board
from tests.deploy.boards.probe_outputs import report_of

BOARDS = tuple(board for board in list_boards() if not board.own)
GIB = 1 << 20  # in KiB


def match(report: BoardReport, *more: Board) -> BoardMatch:
    found = match_board(report, (*BOARDS, *more))
    assert found is not None
    return found


def rk3588(**described: object) -> BoardReport:
    """An ordinary RK3588 board."""
    ordinary = {
        "compatible": ["radxa,rock-5b", "rockchip,rk3588"],
        "clocks": [1800] * 4 + [2256] * 4,
        "memory_kib": 16 * GIB,
    }
    return report_of("rk3588", **{**ordinary, **described})


def test_nothing_to_say_of_an_ordinary_board() -> None:
    found = match(rk3588())
    assert (found.board.name, found.differences) == ("rk3588", ())


@pytest.mark.parametrize(
    ("record", "compatible", "name"),
    [
        ("rpi0", ["raspberrypi,model-zero-w", "brcm,bcm2835"], "rpi0"),
        ("rpi2", ["raspberrypi,2-model-b", "brcm,bcm2836"], "rpi2"),
        ("rk3399", ["pine64,rockpro64-v2.1", "pine64,rockpro64", "rockchip,rk3399"], "rk3399"),
        ("rk3588", ["xunlong,orangepi-5", "rockchip,rk3588s"], "rk3588"),
        ("a311d", ["khadas,vim3", "amlogic,a311d", "amlogic,g12b"], "a311d"),
        (
            "beaglebone-black",
            ["ti,am335x-bone-black", "ti,am335x-bone", "ti,am33xx"],
            "beaglebone-black",
        ),
        (
            "jetson-nano",
            ["nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano", "nvidia,tegra210"],
            "jetson-nano",
        ),
        ("jetson-tx2", ["nvidia,p2771-0000", "nvidia,tegra186"], "jetson-tx2"),
        ("jetson-xavier", ["nvidia,p2972-0000", "nvidia,tegra194"], "jetson-xavier"),
        ("jetson-xavier", ["nvidia,p3509-0000+p3668-0001", "nvidia,tegra194"], "jetson-xavier-nx"),
        ("rk3588", ["nvidia,p3737-0000+p3701-0005", "nvidia,tegra234"], "jetson-agx-orin"),
        ("rk3588", ["nvidia,p3768-0000+p3767-0005", "nvidia,tegra234"], "jetson-orin-nano"),
    ],
)
def test_boards_are_known_by_their_device_tree(
    record: str, compatible: list[str], name: str
) -> None:
    assert match(report_of(record, compatible=compatible)).board.name == name


def test_a_board_that_is_not_listed() -> None:
    assert match_board(report_of("rk3568", compatible=["acme,board", "acme,soc"]), BOARDS) is None
    # An Orin NX shares no name with the boards of its SoC that are listed.
    orin_nx = ["nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"]
    assert match_board(report_of("rk3588", compatible=orin_nx), BOARDS) is None
    assert match_board(report_of("rk3588"), BOARDS) is None


def test_ones_own_entry_goes_before_edgewrights_and_equal_cores_before_others() -> None:
    mine = replace(load_board("rk3588"), name="desk", own=True)
    assert match(rk3588(), mine).board.name == "desk"
    other = replace(load_board("rk3568"), name="other", compatible=("rockchip,rk3588",))
    assert match(rk3588(), other).board.name == "rk3588"


def test_an_older_glibc() -> None:
    (said,) = match(rk3588(libc="glibc 2.9")).differences
    assert said == (
        "Its C library is glibc 2.9, older than the 2.31 that libraries for this board are linked "
        "for: save an entry of your own with --save, and compile for that. The static programs run "
        "as they are."
    )
    assert match(rk3588(libc="glibc 2.100")).differences == ()


def test_musl() -> None:
    (said,) = match(rk3588(libc="musl libc (aarch64)\nVersion 1.2.3")).differences
    assert "musl, with which only the static programs run" in said


@pytest.mark.parametrize(
    ("arch", "end"), [("aarch64", "run as they are."), ("armv7l", "need a 64-bit kernel.")]
)
def test_a_32_bit_system_on_64_bit_cores(arch: str, end: str) -> None:
    report = report_of(
        "rpi3-32-bit", arch=arch, bits=32, compatible=["raspberrypi,3-model-b", "brcm,bcm2837"]
    )
    (said,) = match(report).differences
    assert said.startswith("Its system is 32-bit, and the library for this board is 64-bit")
    assert "compiled for rpi2" in said and said.endswith(end)


def test_a_32_bit_board_with_a_32_bit_system_is_no_news() -> None:
    report = report_of("rpi2", arch="armv7l", bits=32, compatible=["raspberrypi,2-model-b"])
    assert match(report).differences == ()


def test_other_clocks_cores_features_caches_and_memory() -> None:
    slow = rk3588(clocks=[1800] * 4 + [2016] * 2 + [2304] * 2)
    assert match(slow).differences == ("Its cortex-a76 reach 2016 MHz, not 2256.",)
    offline = rk3588(sysfs=["cpu6 online 0", "cpu7 online 0"])
    assert match(offline).differences == (
        "Its cores are 4 cortex-a55, 2 cortex-a76 (2 more are offline), not 4 cortex-a76, "
        "4 cortex-a55.",
    )
    poor = replace(rk3588(), features=tuple(f for f in rk3588().features if f != "asimddp"))
    assert match(poor).differences == ("Its CPU does not name the features asimddp.",)
    caches = ["cpu4 cache 1 Data 64K 4", "cpu4 cache 2 Unified 256K 4"]
    assert match(rk3588(sysfs=caches)).differences == (
        "Its caches are 256 KiB at level 2, not 512.",
    )
    small = rk3588(memory_kib=2 * GIB)
    assert match(small).differences == (
        "It has 2048 MiB of memory; the smallest that is known has 4096.",
    )


def test_what_firmware_keeps_of_the_memory_is_no_difference() -> None:
    # MemTotal of a Raspberry Pi 3 with 1 GiB.
    report = report_of("rpi3-32-bit", arch="aarch64", compatible=["raspberrypi,3-model-b"])
    assert not [said for said in match(report).differences if "memory" in said]
