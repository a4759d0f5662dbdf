"""Multiply-accumulates of a function, for reports."""

from __future__ import annotations

from typing import Any

from edgewright.schedules.cuda.moves import (
    open_schedule,
    reduced_elems,
    spatial_elems,
    sums_products,
)

__all__ = ["count_macs"]


def count_macs(func: Any) -> int:
    """Products that an unscheduled function adds up; 0 where it cannot be read."""
    opened = open_schedule(func)
    if opened is None:
        return 0
    schedule, blocks = opened
    return sum(
        spatial_elems(block) * reduced_elems(block)
        for block in blocks
        if block.is_reduction() and sums_products(schedule.get(block.block_rv))
    )
