"""What ptxas says that each kernel takes (``-Xptxas -v``), and whether a launch fits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.compiler.cuda.device_program import StepLaunch
from edgewright.spec.errors import ToolError
from edgewright.spec.gpu import Gpu

__all__ = ["KernelResources", "find_misfits", "parse_ptxas"]

_ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class KernelResources:
    """What one kernel takes.

    Attributes:
        name: the kernel.
        arch: what it was compiled for.
        registers: 32-bit registers of a thread.
        shared_bytes: shared memory of a block.
        stack_bytes: local memory of a thread, which lies in device memory.
        spill_store_bytes: written there because registers did not suffice.
        spill_load_bytes: read back.
    """

    name: str
    arch: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int


def parse_ptxas(text: str) -> tuple[KernelResources, ...]:
    """Read the report, sorted by name.

    Raises:
        ToolError: an entry is incomplete: ptxas says it in other words than those of CUDA 11 to 13.
    """
    parts = _ENTRY.split(text)[1:]
    found = []
    for name, arch, said in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
        stack, used, shared = _STACK.search(said), _USED.search(said), _SHARED.search(said)
        if stack is None or used is None:
            raise ToolError(
                f"ptxas does not say what the kernel '{name}' takes",
                rule="Its limits are checked when a bundle is made.",
                remedy="Use an nvcc of CUDA 11, 12 or 13.",
            )
        found.append(
            KernelResources(
                name=name,
                arch=arch,
                registers=int(used.group(1)),
                shared_bytes=int(shared.group(1)) if shared else 0,
                stack_bytes=int(stack.group(1)),
                spill_store_bytes=int(stack.group(2)),
                spill_load_bytes=int(stack.group(3)),
            )
        )
    return tuple(sorted(found, key=lambda kernel: kernel.name))


def find_misfits(
    kernels: Sequence[KernelResources], launches: Sequence[StepLaunch], gpu: Gpu
) -> list[str]:
    """What no GPU of the architecture could launch, each as a clause; nothing if all is well."""
    known = {kernel.name: kernel for kernel in kernels}
    found = []
    for launch in launches:
        if not launch.kernel:
            continue
        if launch.kernel not in known:
            found.append(f"the kernel {launch.kernel} was not compiled")
        else:
            found += _misfits(known[launch.kernel], launch, gpu)
    return list(dict.fromkeys(found))


def _misfits(kernel: KernelResources, launch: StepLaunch, gpu: Gpu) -> list[str]:
    threads = math.prod(launch.block)
    registers = gpu.registers_of_block(kernel.registers, threads)
    limits = [
        ("was compiled for", kernel.arch, kernel.arch == gpu.arch, gpu.arch),
        ("has threads:", threads, 1 <= threads <= gpu.max_threads, gpu.max_threads),
        ("has a block of", launch.block, _within(launch.block, gpu.max_block), gpu.max_block),
        ("has a grid of", launch.grid, _within(launch.grid, gpu.max_grid), gpu.max_grid),
        ("takes registers:", registers, registers <= gpu.max_registers, gpu.max_registers),
        (
            "takes bytes of shared memory:",
            kernel.shared_bytes,
            kernel.shared_bytes <= gpu.max_shared_bytes,
            gpu.max_shared_bytes,
        ),
    ]
    return [
        f"the kernel {kernel.name} {what} {value}, and {gpu.arch} allows {limit}"
        for what, value, fits, limit in limits
        if not fits
    ]


def _within(extents: tuple[int, int, int], limits: tuple[int, int, int]) -> bool:
    return all(1 <= extent <= limit for extent, limit in zip(extents, limits, strict=True))
