"""What is refused before anything is copied, by boards that differ in one thing each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgewright.deploy.boards.report import BoardReport, CpuCluster
from edgewright.deploy.bundle import BundleFolder, read_bundle
from edgewright.deploy.elf_needs import read_needs
from edgewright.deploy.preflight.checks import check_bundle, check_room
from edgewright.deploy.toolchain import open_toolchain
from edgewright.spec.errors import BoardError
from edgewright.spec.target import CORES
from tests.deploy.fake_compiled import write_fake_bundle

MIB = 1 << 20
RPI4 = BoardReport(
    machine="ssh://pi@rpi4",
    model="Raspberry Pi 4 Model B Rev 1.2",
    kernel_arch="aarch64",
    user_bits=64,
    clusters=(CpuCluster("cortex-a72", "0x41:0xd08", (0, 1, 2, 3), 1500, None, None),),
    features=("fp", "asimd", "evtstrm", "crc32", "cpuid"),
    libc="glibc",
    glibc="2.31",
    memory_bytes=1024 * MIB,
    available_bytes=800 * MIB,
)
#: A Raspberry Pi 2 of revision 1.1, and the first of all.
RPI2 = dataclasses.replace(
    RPI4,
    kernel_arch="armv7l",
    user_bits=32,
    clusters=(CpuCluster("cortex-a7", "0x41:0xc07", (0, 1, 2, 3), 900, None, None),),
    features=("half", "thumb", "vfp", "edsp", "neon", "vfpv3", "vfpv4", "idiva", "idivt"),
)
RPI0 = dataclasses.replace(
    RPI2,
    kernel_arch="armv6l",
    clusters=(CpuCluster("arm1176", "0x41:0xb76", (0,), 1000, None, None),),
    features=("half", "thumb", "fastmult", "vfp", "edsp", "java", "tls"),
)


@pytest.fixture(scope="module")
def rpi5(tmp_path_factory: pytest.TempPathFactory) -> BundleFolder:
    return write_fake_bundle(tmp_path_factory.mktemp("rpi5") / "out", "rpi5")


@pytest.fixture(scope="module")
def rpi2(tmp_path_factory: pytest.TempPathFactory) -> BundleFolder:
    return write_fake_bundle(tmp_path_factory.mktemp("rpi2") / "out", "rpi2")


@pytest.fixture
def rpi4(rpi4_bundle: Path) -> BundleFolder:
    return read_bundle(rpi4_bundle)


def test_a_board_that_fits_is_told_what_was_compared(rpi4: BundleFolder) -> None:
    checks = {check.what: check for check in check_bundle(rpi4, RPI4)}
    assert list(checks) == ["architecture", "instructions", "C library", "memory"]
    assert (checks["instructions"].needs, checks["instructions"].has) == ("cortex-a72",) * 2
    assert (checks["C library"].needs, checks["C library"].has) == ("glibc 2.17", "glibc 2.31")
    assert checks["memory"].has == "800.0 MiB available"
    assert not any(check.note for check in checks.values())


def test_atomics_that_the_cores_lack_are_refused(rpi5: BundleFolder) -> None:
    with pytest.raises(BoardError, match=r"cores of ssh://pi@rpi4 \(cortex-a72\) lack") as caught:
        check_bundle(rpi5, RPI4)
    assert "(lse), of which 'bin/bench' has" in caught.value.what
    assert "cortex-a76" in caught.value.rule and "boards detect" in caught.value.remedy
    newer = dataclasses.replace(RPI4, glibc="2.36", features=(*RPI4.features, "atomics", "lrcpc"))
    assert check_bundle(rpi5, newer)


def test_dot_products_that_the_cores_lack_are_refused(rpi5: BundleFolder, tmp_path: Path) -> None:
    source = "sdot v0.4s, v1.16b, v2.16b\nret\n"
    (tmp_path / "dot.S").write_text(f".arch armv8.2-a+dotprod\n.globl ew_dot\new_dot:\n{source}")
    toolchain = open_toolchain(CORES["cortex-a76"])
    made = toolchain.compile(tmp_path, ["dot.S"])
    toolchain.link_shared(tmp_path, made, "libdot.so", program="ew_dot")
    manifest = dataclasses.replace(
        rpi5.manifest, files={"libdot.so": next(iter(rpi5.manifest.files.values()))}
    )
    bundle = BundleFolder(tmp_path, manifest)
    with pytest.raises(BoardError, match=r"lack 'sdot/udot' \(dotprod\), of which 'libdot.so' has"):
        check_bundle(bundle, RPI4)
    newer = dataclasses.replace(RPI4, features=(*RPI4.features, "asimddp"))
    assert check_bundle(bundle, newer)


def test_a_newer_glibc_than_the_boards_is_refused_with_the_symbol(
    rpi4: BundleFolder, tmp_path: Path
) -> None:
    (tmp_path / "new.c").write_text(
        "#include <pthread.h>\nint ew_new(void) { pthread_t t = 0; return pthread_join(t, 0); }\n"
    )
    toolchain = open_toolchain(CORES["cortex-a72"], glibc="2.36")
    made = toolchain.compile(tmp_path, ["new.c"])
    toolchain.link_shared(tmp_path, made, "libnew.so", program="ew_new")
    manifest = dataclasses.replace(
        rpi4.manifest, files={"libnew.so": next(iter(rpi4.manifest.files.values()))}
    )
    bundle = BundleFolder(tmp_path, manifest)
    with pytest.raises(BoardError, match=r"has glibc 2.31, and 'libnew.so' needs 2.34") as caught:
        check_bundle(bundle, RPI4)
    assert "'pthread_join'" in caught.value.what and "GLIBC_2.34" in caught.value.rule
    assert check_bundle(bundle, dataclasses.replace(RPI4, glibc="2.36"))


def test_a_64_bit_bundle_needs_a_64_bit_kernel(rpi4: BundleFolder) -> None:
    with pytest.raises(BoardError, match=r"is for armv7l, and the bundle is for") as caught:
        check_bundle(rpi4, dataclasses.replace(RPI4, kernel_arch="armv7l", user_bits=32))
    assert "32-bit system" in caught.value.rule


def test_a_64_bit_kernel_runs_both_and_says_what_cannot_load_the_library(
    rpi4: BundleFolder, rpi2: BundleFolder
) -> None:
    mixed = dataclasses.replace(RPI4, user_bits=32)
    assert "32-bit: they cannot load" in check_bundle(rpi4, mixed)[0].note
    assert check_bundle(rpi2, mixed)[0].note == ""
    assert "64-bit: they cannot load" in check_bundle(rpi2, RPI4)[0].note


def test_neon_that_the_core_lacks_is_refused(rpi2: BundleFolder) -> None:
    assert check_bundle(rpi2, RPI2)
    with pytest.raises(BoardError, match=r"\(arm1176\) lack instructions of vfpv"):
        check_bundle(rpi2, RPI0)


def test_x86_levels_are_compared_too(host_bundle: Path) -> None:
    bundle = read_bundle(host_bundle)
    wide = dataclasses.replace(
        bundle.manifest, target=dataclasses.replace(bundle.manifest.target, mcpu="x86-64-v4")
    )
    old = dataclasses.replace(RPI4, kernel_arch="x86_64", features=("sse4_2", "avx"), clusters=())
    with pytest.raises(BoardError, match="lack instructions of avx2"):
        check_bundle(BundleFolder(bundle.path, wide), old)


def test_a_board_without_glibc_is_told_of_the_library(rpi4: BundleFolder) -> None:
    check = check_bundle(rpi4, dataclasses.replace(RPI4, libc="musl", glibc=None))[2]
    assert check.has == "no glibc found" and "programs are static and run" in check.note


def test_memory_that_is_not_there_is_refused(rpi4: BundleFolder) -> None:
    with pytest.raises(BoardError, match=r"has 0.0 MiB available, and the model needs 0.0 MiB"):
        check_bundle(rpi4, dataclasses.replace(RPI4, available_bytes=100))
    assert check_bundle(rpi4, dataclasses.replace(RPI4, available_bytes=None))


def test_a_board_that_says_little_is_not_refused(rpi4: BundleFolder) -> None:
    silent = BoardReport(machine="ssh://x", kernel_arch="aarch64")
    assert check_bundle(rpi4, silent)[1].has == "unknown"


def test_room_is_needed_beside_the_old_version() -> None:
    assert check_room("ssh://x", 10 * MIB, 12 * MIB)[0].has == "12.0 MiB free"
    with pytest.raises(BoardError, match=r"has 10.5 MiB free .* 10.0 MiB must be copied"):
        check_room("ssh://x", 10 * MIB, int(10.5 * MIB))


def test_programs_ask_for_nothing(rpi4: BundleFolder) -> None:
    needs = read_needs(rpi4.selftest, "bin/selftest")
    assert needs is not None
    assert (needs.arch, needs.libraries, needs.newest) == ("aarch64", (), None)
    assert read_needs(rpi4.path / "manifest.json", "manifest.json") is None
