from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgewright.schedules.cpu.fourier_programs import (
    complex_forward,
    complex_inverse,
    real_forward,
    real_inverse,
)
from edgewright.schedules.cpu.winograd_matrices import LinearProgram
from tests.schedules.execution import F64

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def evaluate(program: LinearProgram, inputs: Sequence[float]) -> F64:
    values = list(inputs)
    for terms in program.steps:
        values.append(sum(float(c) * values[number] for number, c in terms))
    return np.array([values[number] for number in program.outputs])


def parts(values: np.ndarray) -> F64:
    return np.stack([values.real, values.imag], axis=1).ravel()


def real_order(values: np.ndarray, points: int) -> F64:
    """``re 0, re 1, im 1, …`` without the imaginary parts that are zero."""
    found = parts(values)
    zero = {1} if points % 2 else {1, points + 1}
    return np.array([value for place, value in enumerate(found) if place not in zero])


@pytest.mark.parametrize("points", SIZES)
def test_transforms_are_those_of_numpy(points: int) -> None:
    rng = np.random.default_rng(points)
    x = rng.standard_normal(points)
    z = x + 1j * rng.standard_normal(points)
    # Roots of unity are rounded to float32: half a unit in the last place for each level.
    close = {"rtol": 0.0, "atol": 3e-7 * points}
    spectrum = real_order(np.fft.rfft(x), points)
    np.testing.assert_allclose(evaluate(real_forward(points), x), spectrum, **close)
    found = evaluate(complex_forward(points), parts(z))
    np.testing.assert_allclose(found, parts(np.fft.fft(z)), **close)
    for outputs in {1, points // 2 + 1, points}:
        back = evaluate(real_inverse(points, outputs), spectrum)
        np.testing.assert_allclose(back, points * x[:outputs], **close)
        back = evaluate(complex_inverse(points, outputs), parts(np.fft.fft(z)))
        np.testing.assert_allclose(back, points * parts(z[:outputs]), **close)


@pytest.mark.parametrize("points", SIZES[3:])
def test_operations_stay_below_those_of_the_textbook(points: int) -> None:
    """5 n log2 n for a complex transform (Cooley and Tukey, radix 2), half for a real one."""
    radix2 = 5 * points * np.log2(points)
    assert complex_forward(points).operations < 0.95 * radix2
    assert real_forward(points).operations < 0.55 * radix2
    assert real_inverse(points, points).operations < 0.6 * radix2


def test_what_no_output_needs_is_left_out() -> None:
    for points in (16, 32, 64):
        few, every = (real_inverse(points, n).operations for n in (points // 4, points))
        assert few < every
        steps = complex_inverse(points, points // 4).steps
        used = {number for terms in steps for number, _ in terms}
        outputs = set(complex_inverse(points, points // 4).outputs)
        first = 2 * points
        assert set(range(first, first + len(steps))) <= used | outputs


def test_small_transforms_have_no_needless_products() -> None:
    assert complex_forward(4).constants() == real_forward(4).constants() == set()
    assert complex_forward(4).operations == 16 and real_forward(4).operations <= 7
    assert len(complex_forward(8).constants()) == 1
