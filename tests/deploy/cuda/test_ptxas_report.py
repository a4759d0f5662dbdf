"""ptxas's report, and the limits that launches are held to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgewright.compiler.cuda.device_program import StepLaunch
from edgewright.deploy.cuda.ptxas_report import KernelResources, find_misfits, parse_ptxas
from edgewright.spec.errors import ToolError
from edgewright.spec.gpu import Gpu

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'second' for 'sm_87'
ptxas info    : Function properties for second
    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 101 registers, used 1 barriers, 16 bytes cumulative stack size, 2048 bytes \
smem, 368 bytes cmem[0]
ptxas info    : Compile time = 4.790 ms
ptxas info    : Compiling entry function 'first' for 'sm_87'
ptxas info    : Function properties for first
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 15 registers, 368 bytes cmem[0]
"""

GPU = Gpu("sm_87")
KERNEL = KernelResources("k", "sm_87", 32, 1024, 0, 0, 0)
LAUNCH = StepLaunch("k", (10, 2, 1), (16, 8, 1))


def test_every_kernel_is_read_by_name() -> None:
    assert parse_ptxas(REPORT) == (
        KernelResources("first", "sm_87", 15, 0, 0, 0, 0),
        KernelResources("second", "sm_87", 101, 2048, 16, 8, 4),
    )


def test_words_that_are_not_known_are_refused() -> None:
    with pytest.raises(ToolError, match="what the kernel 'first' takes"):
        parse_ptxas(REPORT.replace("Used 15 registers", "15 registers are in use"))


def test_a_launch_that_fits() -> None:
    copy = StepLaunch("", (0, 0, 0), (0, 0, 0))
    assert find_misfits([KERNEL], [LAUNCH, copy], GPU) == []


@pytest.mark.parametrize(
    ("kernel", "launch", "message"),
    [
        (replace(KERNEL, name="other"), LAUNCH, "the kernel k was not compiled"),
        (replace(KERNEL, arch="sm_90"), LAUNCH, "was compiled for sm_90, and sm_87 allows sm_87"),
        (replace(KERNEL, registers=129), replace(LAUNCH, block=(512, 1, 1)), "registers: 69632"),
        (replace(KERNEL, shared_bytes=49153), LAUNCH, "bytes of shared memory: 49153"),
        (KERNEL, replace(LAUNCH, block=(64, 32, 1)), "has threads: 2048"),
        (KERNEL, replace(LAUNCH, block=(1, 1, 128)), "has a block of (1, 1, 128)"),
        (KERNEL, replace(LAUNCH, grid=(1, 65536, 1)), "has a grid of (1, 65536, 1)"),
        (KERNEL, replace(LAUNCH, grid=(0, 1, 1)), "has a grid of (0, 1, 1)"),
    ],
)
def test_each_limit(kernel: KernelResources, launch: StepLaunch, message: str) -> None:
    found = find_misfits([kernel], [launch], GPU)
    assert found and message in found[0]
