"""The Winograd kernels' register tiles stay in NEON's registers and multiply by lane."""

from __future__ import annotations

import re

import pytest

from edgewright.schedules.cpu.conv2d_winograd import offer
from edgewright.schedules.kernel import Limits, Offer
from edgewright.schedules.simd import simd_of
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES
from tests.schedules.assembly import (
    assembly,
    innermost_loops,
    multiply_add_share,
    multiply_adds,
    stack_references,
)

BY_LANE = re.compile(r"fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]")
#: Multiply-adds of one turn, at least: those of the transforms are no register tiles.
TURN = 64
#: The most instructions for each multiply-add, of tiles of 14 accumulators or more.
INSTRUCTIONS = 1.25
#: The same where several vectors are loaded by one instruction, and the multiply-adds a cycle as a
#: share of what llvm-mca's model of the core allows.
STREAMED_INSTRUCTIONS, BUSY = 1.16, 0.9


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72", "cortex-a76"])
@pytest.mark.parametrize("channels", [64, 128, 256, 512])
def test_register_tiles(channels: int, core: str) -> None:
    extent = 56 * 64 // channels
    w = Conv2dWorkload(
        1,
        channels,
        extent,
        extent,
        channels,
        3,
        3,
        pad_top=1,
        pad_left=1,
        pad_bottom=1,
        pad_right=1,
        epilogue=Epilogue(bias=True, activation=Activation("relu")),
    )
    answer = offer(w, CORES[core], Limits(), "blocked")
    assert isinstance(answer, Offer)
    loops = innermost_loops(assembly(answer.build(), CORES[core]))
    tiles = [loop for loop in loops if len(multiply_adds(loop)) >= TURN]
    assert tiles, "no loop is a register tile"
    for loop in tiles:
        products = multiply_adds(loop)
        text = "\n".join(loop)
        assert all(BY_LANE.match(line) for line in products), text
        assert not stack_references(loop), text
        assert not any(line.startswith("st") for line in loop), text
        if len({line.split()[1] for line in products}) >= 14:
            streams = simd_of(CORES[core]).streams
            most = STREAMED_INSTRUCTIONS if streams else INSTRUCTIONS
            assert len(loop) <= most * len(products), text
            assert not streams or multiply_add_share(loop, core) >= BUSY, text
