from __future__ import annotations

import pytest
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.axis_runs import axis_runs, groups_of_task, row_steps

AXES = [
    {"in_extent": 14, "out": 14, "tile": 2, "kernel": 3, "stride": 1, "pad": 1, "dilation": 1},
    {"in_extent": 15, "out": 8, "tile": 3, "kernel": 3, "stride": 2, "pad": 1, "dilation": 1},
    {"in_extent": 9, "out": 9, "tile": 4, "kernel": 3, "stride": 1, "pad": 2, "dilation": 2},
    {"in_extent": 2, "out": 4, "tile": 2, "kernel": 1, "stride": 1, "pad": 1, "dilation": 1},
    {"in_extent": 9, "out": 3, "tile": 2, "kernel": 2, "stride": 4, "pad": 0, "dilation": 1},
]


@pytest.mark.parametrize("axis", AXES)
def test_groups_meet_every_tap_inside_the_image_once(axis: dict[str, int]) -> None:
    found = []
    for run in axis_runs(**axis):
        for number in range(run.tiles.count):
            start = run.tiles.start + number * axis["tile"]
            for place, pairs in enumerate(run.meets):
                position = start * axis["stride"] - axis["pad"] + run.first + place
                found += [(start + output, tap, position) for output, tap in pairs]
    expected = [
        (output, tap, position)
        for output in range(axis["out"])
        for tap in range(axis["kernel"])
        if 0
        <= (position := output * axis["stride"] + tap * axis["dilation"] - axis["pad"])
        < axis["in_extent"]
    ]
    assert sorted(found) == sorted(expected)


def test_groups_of_a_task_are_clipped_to_it() -> None:
    runs = axis_runs(**AXES[0])
    assert [run.tiles.count for run in runs] == [1, 5, 1]
    bodies: list[int] = []

    def emit() -> None:
        y = mk.declare("y", (7,))
        with builder.parallel(0, 4) as task:
            for run, number in groups_of_task(runs, task, 2):
                bodies.append(run.tiles.start)
                at = (run.tiles.start // 2 + number,)
                mk.store(y, at, mk.constant(1.0, 1), 1)

    mk.kernel_function("groups", emit)
    assert bodies == [0, 2, 12]


def test_a_stream_moves_from_row_to_row() -> None:
    (top, *_) = axis_runs(**AXES[4])
    (left, *_) = axis_runs(in_extent=20, out=6, tile=6, kernel=1, stride=1, pad=0, dilation=1)
    # Rows 0, 1, 4 and 5 are read; six columns are loads of four and of two vectors.
    steps = row_steps(top, left, in_w=20)
    assert list(steps) == [0, 1, 4, 5]
    assert [step // 4 for step in steps.values()] == [20 - 4, 60 - 4, 20 - 4, 20 - 4]
