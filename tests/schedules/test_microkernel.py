from __future__ import annotations

import numpy as np

from edgewright.schedules import microkernel as mk
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import CORES, parse_target


def test_column_tiles_cover_a_row_and_share_code() -> None:
    runs = mk.column_tiles(in_w=56, out_w=56, tile=14, kernel=3, stride=1, pad=1, dilation=1)
    assert [(run.start, run.count, run.width) for run in runs] == [
        (0, 1, 14),
        (14, 2, 14),
        (42, 1, 14),
    ]
    assert runs[0].missing == {(0, 0)}
    assert runs[1].missing == set()
    assert runs[2].missing == {(13, 2)}


def test_column_tiles_of_any_geometry_name_exactly_what_is_outside() -> None:
    for in_w, tile, kernel, stride, pad, dilation in np.ndindex(9, 5, 4, 3, 4, 2):
        width, step = in_w + 1, stride + 1
        reach = (dilation + 1) * kernel + 1
        if width + 2 * pad < reach:
            continue
        out_w = (width + 2 * pad - reach) // step + 1
        runs = mk.column_tiles(
            in_w=width,
            out_w=out_w,
            tile=tile + 1,
            kernel=kernel + 1,
            stride=step,
            pad=pad,
            dilation=dilation + 1,
        )
        seen = {}
        for run in runs:
            for number in range(run.count):
                for i in range(run.width):
                    for kw in range(kernel + 1):
                        column = run.start + number * run.width + i
                        seen[column, kw] = (i, kw) in run.missing
        expected = {
            (ow, kw): not 0 <= ow * step + kw * (dilation + 1) - pad < width
            for ow in range(out_w)
            for kw in range(kernel + 1)
        }
        assert seen == expected


def test_tap_runs_join_kernel_columns_that_touch_the_same_outputs() -> None:
    whole = mk.ColumnTiles(0, 1, 2, frozenset())
    assert mk.tap_runs(whole, 3) == [(0, 3, (0, 1))]
    left = mk.ColumnTiles(0, 1, 2, frozenset({(0, 0)}))
    assert mk.tap_runs(left, 3) == [(0, 1, (1,)), (1, 2, (0, 1))]
    nothing = mk.ColumnTiles(0, 1, 1, frozenset({(0, 1)}))
    assert mk.tap_runs(nothing, 3) == [(0, 1, (0,)), (2, 1, (0,))]


def test_taps_are_plain_numbers_where_every_row_sees_the_kernel() -> None:
    whole = mk.clipped_taps(None, in_extent=9, kernel=3, stride=2, pad=0, dilation=1, out=4)
    assert whole == (0, 3)


def test_fused_multiply_adds_are_asked_for_where_llvm_makes_none() -> None:
    assert mk.simd_of(CORES["cortex-a7"]).call_fma
    assert not mk.simd_of(CORES["cortex-a72"]).call_fma
    a9 = parse_target(
        {"mtriple": "armv7l-linux-gnueabihf", "mcpu": "cortex-a9", "mattr": ["+neon"]}
    )
    assert not mk.simd_of(a9).call_fma
    assert mk.simd_of(a9).by_lane


def test_cores_that_execute_in_order_do_not_read_streams() -> None:
    wide = {name for name, target in CORES.items() if target.isa.name == "neon"}
    streams = {name for name, target in CORES.items() if mk.simd_of(target).streams}
    assert wide - streams == {"cortex-a53", "cortex-a55"}
    assert streams == wide & streams


def test_interior_rows_see_the_whole_kernel() -> None:
    w = Conv2dWorkload(1, 4, 9, 9, 4, 3, 3, 2, 2, pad_top=1, pad_bottom=3)
    inside = [
        row for row in range(w.out_h) if all(0 <= row * 2 + kh - 1 < w.in_h for kh in range(3))
    ]
    first, end = mk.interior_rows(w)
    assert list(range(first, end)) == inside
