"""Cores by the numbers that they identify themselves with."""

from __future__ import annotations

import pytest

from edgewright.spec.arm_parts import core_of_midr, core_of_part
from edgewright.spec.target import CORES


@pytest.mark.parametrize(
    ("midr", "core"),
    [
        (0x410FD034, "cortex-a53"),
        (0x414FD0B1, "cortex-a76"),
        (0x410FC0D1, "cortex-a17"),
        (0x413FC082, "cortex-a8"),
        (0x4E0F0040, "carmel"),
        (0x41069265, "arm926"),
        (0x410FFFF0, None),
        (0x000F0030, None),
    ],
)
def test_registers(midr: int, core: str | None) -> None:
    assert core_of_midr(midr) == core


def test_every_core_can_be_recognised() -> None:
    parts = {core_of_part(maker, part) for maker in (0x41, 0x4E) for part in range(0x1000)}
    assert set(CORES) <= parts
