"""The counts of docs/algorithms.md are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgewright.schedules.cpu import conv2d_fft_cost, conv2d_im2col
from edgewright.schedules.cpu.conv2d_fft_config import POINTS, Conv2dFftConfig, FftGeometry
from edgewright.schedules.cpu.conv2d_im2col_config import Conv2dIm2colConfig, Im2colGeometry
from edgewright.schedules.cpu.winograd_matrices import axis_transform
from edgewright.schedules.workload import Conv2dWorkload

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "algorithms.md").read_text()
ROW = re.compile(r"^\| (direct|Winograd|FFT) ?([^|]*) \| (\d+)x\d+ \| ([\d.]+) \| (\d+) \|$", re.M)


def large_image(kernel: int, channels: int = 1) -> Conv2dWorkload:
    """An image that is large beside any tile."""
    return Conv2dWorkload(1, channels, 960, 960, channels, kernel, kernel)


def fft(points: int, kernel: int, channels: int = 1) -> FftGeometry:
    config = Conv2dFftConfig(points, points, 1, 1, 1, 1, 1, 1, 1)
    return FftGeometry(large_image(kernel, channels), config, 4)


@pytest.mark.parametrize("row", ROW.findall(TEXT), ids=" ".join)
def test_multiplications_and_weights_of_one_output(row: tuple[str, ...]) -> None:
    method, size, kernel, multiplications, weights = row[0], row[1], int(row[2]), row[3], row[4]
    found: tuple[float, float] = kernel**2, kernel**2
    if method == "Winograd":
        outputs = int(size.removeprefix("F(").split(",")[0])
        points = axis_transform(outputs, kernel).points
        found = points**2 / outputs**2, points**2
    elif method == "FFT":
        geometry = fft(int(size.split("x")[0]), kernel)
        full = geometry.rows.points - kernel + 1
        found = 4 * geometry.positions / full**2, 2 * geometry.positions
    assert f"{found[0]:.2f}" == multiplications
    assert f"{found[1]:.0f}" == weights


def test_there_are_rows_of_every_method() -> None:
    rows = ROW.findall(TEXT)
    assert {row[0] for row in rows} == {"direct", "Winograd", "FFT"} and len(rows) >= 12


def test_positions_weights_and_sizes_of_the_fft() -> None:
    for points in (8, 12, 16, 24, 32, 48, 64):
        geometry = fft(points, 3, channels=8)
        assert geometry.positions == points**2 // 2 + 2
        assert geometry.weight_elements * 4 == 8 * (points**2 // 2 + 2) * 8 * 8
        transformed = geometry.input_elements + geometry.product_elements
        assert transformed * 4 == 8 * geometry.positions * (4 + 4)  # one block of each
    listed = ", ".join(str(size) for size in POINTS[1:-1])
    assert f"`T` is {listed} or {POINTS[-1]} for each axis" in TEXT


def test_the_error_of_the_fft() -> None:
    geometry = fft(16, 7, channels=32)
    factor = f"{conv2d_fft_cost.LARGEST_ERROR:g}"
    rounding = f"{conv2d_fft_cost.ROUNDINGS_PER_LEVEL:g}"
    assert f"`{factor} sqrt((C + {rounding} log2 T²) / (k² C))`" in TEXT
    expected = float(factor) * ((32 + float(rounding) * 8) / (49 * 32)) ** 0.5
    assert conv2d_fft_cost.error_factor(geometry) == pytest.approx(expected)


def test_the_columns_of_im2col() -> None:
    geometry = Im2colGeometry(large_image(5, 32), 16, False)
    config = Conv2dIm2colConfig(1, 14, 56, geometry.steps, 1)
    assert geometry.scratch_elements(config) * 4 == 4 * 25 * 32 * 56
    assert conv2d_im2col.MAX_SCRATCH_BYTES == 1 << 20
