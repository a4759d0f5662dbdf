"""Architectures of GPUs and their limits."""

from __future__ import annotations

import pytest

from edgewright.spec.errors import TargetError
from edgewright.spec.gpu import Gpu, parse_gpu


def test_an_architecture_knows_its_capability() -> None:
    assert parse_gpu("sm_87").capability == 87
    assert parse_gpu("sm_100a").capability == 100


@pytest.mark.parametrize("text", ["", "87", "sm87", "sm_8", "compute_87", "sm_87b", "SM_87"])
def test_what_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="is no CUDA architecture"):
        parse_gpu(text)


def test_an_old_architecture_is_refused() -> None:
    with pytest.raises(TargetError, match="sm_53 is older than Volta"):
        parse_gpu("sm_53")


@pytest.mark.parametrize(
    ("registers", "threads", "taken"),
    [
        (32, 32, 1024),
        (33, 32, 1280),  # a warp takes portions of 256: 33 * 32 = 1056
        (32, 33, 2048),  # the second warp has one thread, and takes as much
        (64, 1024, 65536),
        (65, 1024, 73728),
    ],
)
def test_registers_of_a_block(registers: int, threads: int, taken: int) -> None:
    assert Gpu("sm_87").registers_of_block(registers, threads) == taken
