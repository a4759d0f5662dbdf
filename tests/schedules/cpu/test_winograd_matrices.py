from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.schedules.cpu.winograd_matrices import (
    POINTS,
    AxisTransform,
    LinearProgram,
    amplification,
    axis_transform,
)
from tests.schedules.strategies import repeatable

#: Every ``F(m, r)`` with every short tile, and none.
TRANSFORMS = [
    (outputs, taps, edge)
    for taps in (3, 5)
    for outputs in range(2, 10 - taps)
    for edge in range(outputs)
]


def kinds(transform: AxisTransform) -> list[tuple[int, LinearProgram, LinearProgram]]:
    """Outputs and programs of whole tiles, and of the short one where there is one."""
    found = [(transform.outputs, transform.input_program, transform.output_program)]
    if transform.edge_outputs:
        edges = transform.edge_input_program, transform.edge_output_program
        assert edges[0] is not None and edges[1] is not None
        found.append((transform.edge_outputs, edges[0], edges[1]))
    return found


def correlation(inputs: list[Fraction], taps: list[Fraction]) -> list[Fraction]:
    count = len(inputs) - len(taps) + 1
    return [sum(x * g for x, g in zip(inputs[k:], taps, strict=False)) for k in range(count)]


rationals = st.fractions(min_value=-9, max_value=9, max_denominator=12)


@pytest.mark.parametrize(("outputs", "taps", "edge"), TRANSFORMS)
def test_transforms_compute_the_correlation_exactly(outputs: int, taps: int, edge: int) -> None:
    transform = axis_transform(outputs, taps, edge)
    longest = outputs + taps - 1

    @repeatable(6)
    @given(
        data=st.lists(rationals, min_size=longest, max_size=longest),
        kernel=st.lists(rationals, min_size=taps, max_size=taps),
    )
    def holds(data: list[Fraction], kernel: list[Fraction]) -> None:
        weights = [
            sum((g * x for g, x in zip(row, kernel, strict=True)), Fraction(0))
            for row in transform.filter_matrix
        ]
        for count, input_program, output_program in kinds(transform):
            inputs = data[: count + taps - 1]
            # A short tile takes the first of the weights that whole tiles take.
            products = [u * v for u, v in zip(weights, input_program.apply(inputs), strict=False)]
            assert len(products) == count + taps - 1
            assert output_program.apply(products) == correlation(inputs, kernel)

    holds()


@pytest.mark.parametrize(("outputs", "taps", "edge"), TRANSFORMS)
def test_float32_holds_the_constants_of_whole_input_tiles(
    outputs: int, taps: int, edge: int
) -> None:
    constants = axis_transform(outputs, taps, edge).input_program.constants()
    assert all(Fraction(float(np.float32(float(c)))) == c for c in constants)


def test_a_pair_of_points_shares_its_even_and_odd_parts() -> None:
    f4x3 = axis_transform(4, 3)
    # Written out, BT of six points has 24 products and sums, AT 16.
    assert f4x3.input_program.operations == 12
    assert f4x3.output_program.operations == 11
    assert axis_transform(2, 3).input_program.operations == 4
    assert axis_transform(2, 3).output_program.operations == 4


def test_a_short_tile_needs_a_point_for_each_output_and_tap_but_one() -> None:
    for outputs, taps, edge in TRANSFORMS:
        transform = axis_transform(outputs, taps, edge)
        assert transform.points == outputs + taps - 1
        assert transform.edge_points == (edge + taps - 1 if edge else 0)


def test_subsets_keep_pairs_together() -> None:
    for points in POINTS.values():
        for size in range(1, points.size):
            for subset in points.subsets(size):
                assert subset.size == size
                assert set(subset.pairs) <= set(points.pairs)
                assert len(subset.finite) + subset.infinity == size


def test_more_points_amplify_errors_more() -> None:
    figures = [amplification(POINTS[outputs + 2], outputs, 3) for outputs in range(2, 7)]
    assert figures == sorted(figures)
    assert figures[0] < 2.0 and 7.0 < figures[2] < 7.5 and figures[4] > 40.0
