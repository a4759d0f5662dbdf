from __future__ import annotations

import math
from dataclasses import replace

from edgewright.schedules import cost
from edgewright.spec.target import CORES

A72 = CORES["cortex-a72"]


def test_tiles_leave_room_for_their_operands() -> None:
    assert cost.tile_fits(A72.isa, 4, 5)
    assert not cost.tile_fits(A72.isa, 2, 10)
    assert cost.tile_fits(CORES["arm926"].isa, 1, 1)


def test_small_tiles_wait_for_the_multiply_add() -> None:
    small = cost.step_cycles(A72, 1, 1, weight_bytes_resident=0)
    assert small == cost.core_rates(A72.isa).latency
    large = cost.step_cycles(A72, 4, 5, weight_bytes_resident=0)
    assert large == 10.0


def test_weights_beyond_level_1_are_slower() -> None:
    near = cost.step_cycles(A72, 8, 1, weight_bytes_resident=1024)
    far = cost.step_cycles(A72, 8, 1, weight_bytes_resident=1 << 20)
    assert far > near


def test_tasks_are_many_but_not_tiny() -> None:
    four = replace(A72, num_cores=4)
    many = cost.split_tasks(four, units=56, outer=2, cycles=1e7)
    assert (many.size, many.chunks) == (7, 8)
    tiny = cost.split_tasks(four, units=56, outer=2, cycles=1e4)
    assert (tiny.size, tiny.chunks) == (56, 1)
    for units in range(1, 40):
        split = cost.split_tasks(four, units=units, outer=1, cycles=1e9)
        assert split.size * (split.chunks - 1) < units <= split.size * split.chunks


def test_all_cores_end_at_the_same_time() -> None:
    two = replace(A72, num_cores=2)
    for units in (7, 14, 28, 49, 56):
        split = cost.split_tasks(two, units=units, outer=1, cycles=1e9)
        sizes = cost.chunks_of(units, split.size)
        assert sum(sizes) == units
        assert cost.longest_share(sizes, 2) <= math.ceil(units / 2)


def test_a_thread_does_its_share_and_then_what_others_left() -> None:
    assert cost.longest_share([3.0], 2) == 3.0
    assert cost.longest_share([1.0] * 7, 2) == 4.0
    assert cost.longest_share([5.0, 1.0, 1.0, 1.0], 2) == 5.0  # its neighbour takes the second
    assert cost.longest_share([1.0, 1.0, 1.0, 5.0], 2) == 6.0  # taken last, though it is longest
