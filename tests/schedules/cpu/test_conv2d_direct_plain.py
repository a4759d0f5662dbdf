from __future__ import annotations

from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_direct_plain import row_span, vectors_of_lanes
from edgewright.schedules.workload import Conv2dWorkload


def test_scalars_are_read_as_vectors_inside_the_span_only() -> None:
    reads: list[tuple[int, int]] = []

    def emit() -> None:
        x = mk.declare("x", (64,))

        def fetch(position: int, width: int) -> object:
            reads.append((position, width))
            return mk.load(x, (mk.index(position),), width)

        vectors_of_lanes(fetch, [3, 5, 7, 8, 9, 12], 4)
        builder.evaluate(0)

    mk.kernel_function("scalars", emit)
    assert reads == [(3, 4), (7, 4), (12, 1)]


def test_a_row_span_leaves_the_padding_out() -> None:
    w = Conv2dWorkload(1, 3, 8, 8, 8, 3, 3, 2, 2, pad_left=1)
    runs = mk.column_tiles(in_w=8, out_w=w.out_w, tile=2, kernel=3, stride=2, pad=1, dilation=1)
    span = row_span(w, runs[0])
    assert span is not None
    assert (span.left, span.length) == (0, 4)
    assert (0, 1, 0) in span.taps and (1, 2, 3) in span.taps
    assert not any((i, kw) == (0, 0) for i, kw, _ in span.taps)


def test_tiles_in_the_padding_see_nothing() -> None:
    w = Conv2dWorkload(1, 3, 2, 2, 8, 1, 1, pad_left=4)
    runs = mk.column_tiles(in_w=2, out_w=w.out_w, tile=4, kernel=1, stride=1, pad=4, dilation=1)
    assert row_span(w, runs[0]) is None
