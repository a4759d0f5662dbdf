"""What a machine says of itself, as :func:`edgewright.deploy.boards.report.read_report` asks it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgewright.deploy.boards.board import Caches

__all__ = ["BoardReport", "CpuCluster"]


@dataclass(frozen=True)
class CpuCluster:
    """CPUs with the same kind of core and the same highest clock.

    Attributes:
        core: name of the core, as :mod:`edgewright.spec.arm_parts` has it; None if it is not known.
        part: implementer and part number, ``0x41:0xd08``; None where the kernel shows none.
        cpus: their numbers, in order.
        max_mhz: highest clock that cpufreq offers; None where there is no cpufreq.
        capacity: the kernel's figure for what a core does in a second, 1024 for the fastest; None
            where it gives none.
        caches: None where the kernel shows none.
    """

    core: str | None
    part: str | None
    cpus: tuple[int, ...]
    max_mhz: int | None
    capacity: int | None
    caches: Caches | None


@dataclass(frozen=True)
class BoardReport:
    """What a machine says of itself. What it does not say is None, or empty.

    Attributes:
        machine: how it was reached: ``host``, or an ssh address.
        model: what the device tree or the firmware calls the machine.
        compatible: the device tree's names of it, from the board's own to the SoC's.
        kernel: release of the kernel, ``6.1.21-v8+``.
        kernel_arch: what the kernel was built for, as ``uname -m`` has it: ``aarch64``.
        user_bits: width of the programs, 32 or 64: 32-bit systems run on 64-bit kernels.
        processor: the name that the kernel has for the processor.
        clusters: the CPUs that are online, by kind.
        offline_cpus: numbers of those that are not.
        features: CPU features that all CPUs have, as ``/proc/cpuinfo`` names them.
        libc: ``glibc`` or ``musl``.
        glibc: version of the C library if it is glibc, ``2.31``.
        os_name: distribution and release.
        memory_bytes: all of the memory.
        available_bytes: memory that programs can have without swapping.
        page_bytes: size of a page of memory.
    """

    machine: str
    model: str | None = None
    compatible: tuple[str, ...] = ()
    kernel: str | None = None
    kernel_arch: str | None = None
    user_bits: int | None = None
    processor: str | None = None
    clusters: tuple[CpuCluster, ...] = ()
    offline_cpus: tuple[int, ...] = ()
    features: tuple[str, ...] = ()
    libc: str | None = None
    glibc: str | None = None
    os_name: str | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    page_bytes: int | None = None

    @property
    def is_arm(self) -> bool:
        """Whether its kernel is for an ARM core of 32 or 64 bits."""
        return (self.kernel_arch or "").startswith(("arm", "aarch64"))

    @property
    def kernel_bits(self) -> int | None:
        """Width of the kernel; None for one that is not known."""
        if self.kernel_arch in ("aarch64", "x86_64"):
            return 64
        return 32 if (self.kernel_arch or "").startswith(("arm", "i686")) else None

    @property
    def user_arch(self) -> str | None:
        """``aarch64``, ``arm`` or ``x86_64``: what a shared library must be for; else None."""
        kernel = self.kernel_arch or ""
        if kernel.startswith("arm") or (kernel == "aarch64" and self.user_bits == 32):
            return "arm"
        return kernel if kernel in ("aarch64", "x86_64") and self.user_bits == 64 else None

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return dataclasses.asdict(self)
