"""Reports: recorded texts of real boards, damaged texts, and the script itself in real shells."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgewright.deploy.boards import report as report_module
from edgewright.deploy.boards.board import Caches
from edgewright.deploy.boards.report import read_report
from edgewright.deploy.boards.report_text import parse_report
from edgewright.deploy.transport.local_machine import LocalMachine
from edgewright.spec.errors import BoardError
from tests.deploy.boards.probe_outputs import (
    CPUINFO,
    RECORDS,
    FakeMachine,
    probe_output,
    report_of,
)

PROBE = Path(report_module.__file__).parent / "probe.sh"
#: Of each record: cores in the order of their first CPU, their numbers, and a feature.
EXPECTED = {
    "a311d": ([("cortex-a53", 2), ("cortex-a73", 4)], "asimd"),
    "beaglebone-black": ([("cortex-a8", 1)], "neon"),
    "jetson-nano": ([("cortex-a57", 4)], "crc32"),
    "jetson-tx2": ([("cortex-a57", 3), ("denver2", 2)], "asimd"),
    "jetson-xavier": ([("carmel", 8)], "asimdhp"),
    "omap4-old-kernel": ([("cortex-a9", 2)], "neon"),
    "rk3288": ([("cortex-a17", 2)], "vfpv4"),
    "rk3399": ([("cortex-a53", 4), ("cortex-a72", 2)], "asimd"),
    "rk3568": ([("cortex-a55", 4)], "asimddp"),
    "rk3588": ([("cortex-a55", 4), ("cortex-a76", 4)], "asimddp"),
    "rpi0": ([("arm1176", 1)], "vfp"),
    "rpi2": ([("cortex-a7", 4)], "vfpv4"),
    "rpi3-32-bit": ([("cortex-a53", 4)], "neon"),
}


def test_every_record_says_where_it_is_from() -> None:
    assert set(RECORDS) == set(EXPECTED)
    for name in RECORDS:
        assert (CPUINFO / f"{name}.txt").read_text().startswith("# https://")


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_cores_and_features(name: str) -> None:
    report = report_of(name)
    cores, feature = EXPECTED[name]
    assert [(cluster.core, len(cluster.cpus)) for cluster in report.clusters] == cores
    assert feature in report.features
    assert report.offline_cpus == ()


def test_tegra_x2_mixes_the_numbers_of_its_cores() -> None:
    arm, denver = report_of("jetson-tx2").clusters
    assert (arm.core, arm.cpus, arm.part) == ("cortex-a57", (0, 3, 4), "0x41:0xd07")
    assert (denver.core, denver.cpus, denver.part) == ("denver2", (1, 2), "0x4e:0x003")


def test_clusters_have_clocks_capacities_and_caches() -> None:
    caches = [
        "cpu0 cache 1 Data 32K 0",
        "cpu0 cache 1 Instruction 32K 0",
        "cpu0 cache 2 Unified 512K 0-3",
        "cpu4 cache 1 Data 32K 4",
        "cpu4 cache 2 Unified 1M 4-5",
        "cpu4 cache 3 Unified nonsense 4-5",
    ]
    report = report_of(
        "rk3399", clocks=[1416] * 4 + [1800] * 2, capacities=[381] * 4 + [1024] * 2, sysfs=caches
    )
    little, big = report.clusters
    assert (little.max_mhz, little.capacity, little.caches) == (
        1416,
        381,
        Caches(32, 512, True, 0),
    )
    assert (big.max_mhz, big.capacity, big.caches) == (1800, 1024, Caches(32, 1024, True, 0))
    assert report.to_dict()["clusters"][1]["caches"]["l2_kib"] == 1024


def test_equal_cores_with_unequal_clocks_are_two_clusters() -> None:
    report = report_of("rk3588", clocks=[1800] * 4 + [2304] * 2 + [2352] * 2)
    assert [(c.core, c.cpus, c.max_mhz) for c in report.clusters] == [
        ("cortex-a55", (0, 1, 2, 3), 1800),
        ("cortex-a76", (4, 5), 2304),
        ("cortex-a76", (6, 7), 2352),
    ]


def test_offline_cpus_are_named_and_not_counted() -> None:
    offline = ["cpu1 online 1", "cpu2 online 0", "cpu3 online 0"]
    report = report_of("rk3568", sysfs=offline)
    assert report.offline_cpus == (2, 3)
    assert [cluster.cpus for cluster in report.clusters] == [(0, 1)]


def test_sysfs_tells_the_core_where_cpuinfo_does_not() -> None:
    text = probe_output("rpi0").split("@@cpuinfo")[0] + (
        "@@cpus\ncpu0 regs/identification/midr_el1 0x00000000410fd083\n@@end\n"
    )
    assert [c.core for c in parse_report("host", text).clusters] == ["cortex-a72"]


def test_an_unknown_core_keeps_its_numbers() -> None:
    text = probe_output("rpi0").replace("0xb76", "0xfff")
    (cluster,) = parse_report("host", text).clusters
    assert (cluster.core, cluster.part) == (None, "0x41:0xfff")


@pytest.mark.parametrize(
    ("arch", "bits", "user_arch", "kernel_bits"),
    [
        ("aarch64", 64, "aarch64", 64),
        ("aarch64", 32, "arm", 64),
        ("armv7l", 32, "arm", 32),
        ("armv6l", 32, "arm", 32),
        ("x86_64", 64, "x86_64", 64),
        ("x86_64", 32, None, 64),
        ("riscv64", 64, None, None),
    ],
)
def test_the_kernel_may_be_wider_than_the_programs(
    arch: str, bits: int, user_arch: str | None, kernel_bits: int | None
) -> None:
    report = report_of("rpi3-32-bit", arch=arch, bits=bits)
    assert (report.user_arch, report.kernel_bits) == (user_arch, kernel_bits)
    assert report.is_arm == arch.startswith(("arm", "aarch"))


@pytest.mark.parametrize(
    ("lines", "libc", "glibc"),
    [
        ("glibc 2.36\nldd (Debian GLIBC 2.36-9+deb12u7) 2.36", "glibc", "2.36"),
        ("ldd (Ubuntu GLIBC 2.35-0ubuntu3.4) 2.35\nCopyright (C) 2022", "glibc", "2.35"),
        ("ldd (GNU libc) 2.17", "glibc", "2.17"),
        ("GNU C Library (Buildroot) stable release version 2.38.", "glibc", "2.38"),
        ("musl libc (aarch64)\nVersion 1.2.3", "musl", None),
        ("sh: ldd: not found\nmusl loader ld-musl-armhf.so.1", "musl", None),
        ("", None, None),
    ],
)
def test_the_c_library(lines: str, libc: str | None, glibc: str | None) -> None:
    report = report_of("rpi3-32-bit", libc=lines)
    assert (report.libc, report.glibc) == (libc, glibc)


def test_the_rest() -> None:
    report = report_of(
        "rpi3-32-bit",
        model="Raspberry Pi 3 Model B Rev 1.2",
        compatible=["raspberrypi,3-model-b", "brcm,bcm2837"],
    )
    assert report.model == "Raspberry Pi 3 Model B Rev 1.2"
    assert report.compatible == ("raspberrypi,3-model-b", "brcm,bcm2837")
    assert (report.kernel, report.os_name) == ("6.1.21-v8+", "Debian GNU/Linux 11 (bullseye)")
    assert (report.memory_bytes, report.available_bytes) == (945_364 * 1024, 700_000 * 1024)
    assert report.page_bytes == 4096
    smaps = probe_output("rpi0").replace("\n4096\n", "\nKernelPageSize:       16 kB\n")
    assert parse_report("host", smaps).page_bytes == 16384


def test_no_text_makes_the_parser_fail() -> None:
    whole = probe_output(
        "rk3399", clocks=[1416] * 6, capacities=[381] * 6, sysfs=["cpu0 cache 2 Unified 1M 0-3"]
    )
    draw = random.Random(0)
    for _ in range(300):
        characters = list(whole)
        for _ in range(draw.randrange(1, 60)):
            start = draw.randrange(len(characters))
            characters[start : start + draw.randrange(20)] = draw.choices(
                ":0x9 \n@K-,=\"'cpu\0é", k=draw.randrange(8)
            )
        assert parse_report("host", "".join(characters)).machine == "host"
    empty = parse_report("host", "")
    assert (empty.clusters, empty.features, empty.glibc, empty.user_arch) == ((), (), None, None)


def test_a_machine_is_asked_once() -> None:
    machine = FakeMachine(probe_output("rk3568"))
    report = read_report(machine)
    assert machine.scripts == [PROBE.read_text()]
    assert (report.machine, report.clusters[0].core) == ("ssh://pi@board", "cortex-a55")


def test_a_machine_without_a_shell() -> None:
    machine = FakeMachine("", status=1, stderr="This account is currently not available.\n")
    with pytest.raises(
        BoardError,
        match=r"'ssh://pi@board' did not answer the questions about its hardware \(exit status 1: "
        r"This account is currently not available\.\)\. .*POSIX shell.*Look whether",
    ) as caught:
        read_report(machine)
    assert caught.value.exit_status == 3


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_script_in_a_shell(shell: str) -> None:
    """Busybox's is the shell of most embedded systems."""
    program = shutil.which(shell)
    if program is None:
        pytest.fail(f"{shell} is not installed: apt install {shell}")
    command = [program, "sh", str(PROBE)] if shell == "busybox" else [program, str(PROBE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    report = parse_report("host", done.stdout)
    assert report.kernel_arch in ("x86_64", "aarch64") and report.user_bits == 64
    assert sum(len(cluster.cpus) for cluster in report.clusters) >= 1
    assert re.fullmatch(r"2\.\d+", report.glibc or "")
    assert report.memory_bytes and report.available_bytes
    assert report.available_bytes < report.memory_bytes
    assert report.page_bytes in (4096, 16384, 65536)


def test_the_script_finds_the_c_library_without_getconf_and_ldd(tmp_path: Path) -> None:
    for tool in ("uname", "dd", "tr", "grep", "cat", "head"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    shell = str(shutil.which("sh"))
    done = subprocess.run(
        [shell, str(PROBE)], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    report = parse_report("host", done.stdout)
    assert re.fullmatch(r"2\.\d+", report.glibc or "")
    assert report.page_bytes in (4096, 16384, 65536)
    assert done.stderr == ""


@pytest.mark.parametrize(("byte", "bits"), [("\\001", 32), ("\\002", 64), ("x", None)])
def test_the_script_reads_the_width_of_a_program(
    byte: str, bits: int | None, tmp_path: Path
) -> None:
    """In the place of ``dd``, which a 32-bit system has of its own."""
    (tmp_path / "dd").write_text(f"#!/bin/sh\nprintf '{byte}'\n")
    (tmp_path / "dd").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(PROBE)], env=environment, capture_output=True, text=True, check=True
    )
    assert parse_report("host", done.stdout).user_bits == bits


def test_this_machine_reports_itself() -> None:
    report = read_report(LocalMachine())
    assert report.machine == "host" and report.kernel and report.os_name
