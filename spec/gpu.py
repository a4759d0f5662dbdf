"""A CUDA device as the compiler sees it: an architecture and the limits of one launch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgewright.spec.errors import TargetError

__all__ = ["Gpu", "parse_gpu"]

_ARCH = re.compile(r"sm_(\d{2,3})[af]?")

#: Compute capability of the oldest architecture whose limits are those below; older ones (Maxwell
#: and Pascal boards such as the Jetson Nano, sm_53) have half the registers for a block.
_OLDEST = 70


@dataclass(frozen=True)
class Gpu:
    """A CUDA architecture.

    Limits: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"; they are
    the same from compute capability 7.0 on.

    Attributes:
        arch: what nvcc calls it: ``sm_87``.
        warp_lanes: threads that run in step.
        max_threads: threads of one block.
        max_block: extents of a block in x, y and z.
        max_grid: extents of a grid in x, y and z.
        max_shared_bytes: shared memory of one block that needs no opting in.
        max_registers: 32-bit registers of one block.
        max_thread_registers: 32-bit registers of one thread.
    """

    arch: str
    warp_lanes: int = 32
    max_threads: int = 1024
    max_block: tuple[int, int, int] = (1024, 1024, 64)
    max_grid: tuple[int, int, int] = (2**31 - 1, 65535, 65535)
    max_shared_bytes: int = 48 * 1024
    max_registers: int = 65536
    max_thread_registers: int = 255

    @property
    def capability(self) -> int:
        """Compute capability times ten: 87 for ``sm_87``."""
        return _capability(self.arch)

    def registers_of_block(self, registers: int, threads: int) -> int:
        """Registers that a block takes: a warp is given them in portions of 256."""
        warps = -(-threads // self.warp_lanes)
        return -(-registers * self.warp_lanes // 256) * 256 * warps


def parse_gpu(text: str) -> Gpu:
    """Read an architecture's name.

    Raises:
        TargetError: it is none, or one older than Volta.
    """
    if not _ARCH.fullmatch(text):
        raise TargetError(
            f"'{text}' is no CUDA architecture",
            rule="An architecture is sm_ and a compute capability without its point.",
            remedy="Write cuda:sm_90 or cuda:sm_87, or cuda: and a Jetson's name.",
        )
    if _capability(text) < _OLDEST:
        raise TargetError(
            f"the CUDA architecture {text} is older than Volta (sm_70)",
            rule="Kernels are planned for the registers and warps of sm_70 and newer.",
            remedy="Compile for the board's CPU, by its name alone.",
        )
    return Gpu(text)


def _capability(arch: str) -> int:
    matched = _ARCH.fullmatch(arch)
    if matched is None:
        raise ValueError(f"'{arch}' is no CUDA architecture")
    return int(matched.group(1))
