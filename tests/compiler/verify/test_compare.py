from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.compiler.verify.compare import Tolerance, compare, compare_output
from edgewright.spec.errors import UsageError

DEFAULT = Tolerance()


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_equal_outputs_pass_and_need_no_tolerance() -> None:
    result = compare_output("y", floats(1, -2, 3), floats(1, -2, 3), DEFAULT)
    assert result.passed
    assert result.reason == ""
    assert (result.max_abs, result.passing_atol, result.passing_rtol) == (0, 0, 0)
    assert result.largest == 3


@pytest.mark.parametrize(("error", "passed"), [(0.9e-4, True), (1.1e-4, False)])
def test_the_default_bounds_the_error_by_the_largest_value(error: float, passed: bool) -> None:
    expected = np.array([0.0, 100.0])
    result = compare_output("y", expected + np.array([100 * error, 0]), expected, DEFAULT)
    assert result.passed is passed
    assert result.of_largest == pytest.approx(error)
    assert result.worst_index == (0,)
    assert math.isinf(result.max_rel)  # the expected element is zero


def test_explicit_tolerances_are_numpys() -> None:
    expected, actual = np.array([1.0, 100.0]), np.array([1.05, 101.0])
    assert not compare_output("y", actual, expected, Tolerance(rtol=0.02)).passed
    assert compare_output("y", actual, expected, Tolerance(rtol=0.02, atol=0.04)).passed
    assert not compare_output("y", actual, expected, Tolerance(atol=0.5)).passed


@given(
    hnp.arrays(np.float32, 7, elements=st.floats(-100, 100, width=32)),
    hnp.arrays(np.float32, 7, elements=st.floats(-100, 100, width=32)),
    st.floats(0, 10),
    st.floats(0, 1),
)
def test_explicit_tolerances_agree_with_allclose(
    actual: np.ndarray, expected: np.ndarray, atol: float, rtol: float
) -> None:
    result = compare_output("y", actual, expected, Tolerance(atol=atol, rtol=rtol))
    close = np.allclose(
        actual.astype(np.float64), expected.astype(np.float64), rtol=rtol, atol=atol
    )
    assert result.passed == close


@given(
    hnp.arrays(np.float32, 5, elements=st.floats(1, 100, width=32)),
    hnp.arrays(np.float32, 5, elements=st.floats(1, 100, width=32)),
)
def test_the_tolerance_that_would_pass_passes(actual: np.ndarray, expected: np.ndarray) -> None:
    result = compare_output("y", actual, expected, DEFAULT)
    slack = 1 + 1e-12
    assert compare_output("y", actual, expected, Tolerance(atol=result.passing_atol * slack)).passed
    assert compare_output("y", actual, expected, Tolerance(rtol=result.passing_rtol * slack)).passed
    if result.passing_atol > 0:
        assert not compare_output(
            "y", actual, expected, Tolerance(atol=result.passing_atol * 0.99)
        ).passed
        assert not compare_output(
            "y", actual, expected, Tolerance(rtol=result.passing_rtol * 0.99)
        ).passed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_fail_on_either_side(value: float) -> None:
    wide = Tolerance(atol=1e30)
    ours = compare_output("y", floats(1, value), floats(1, 2), wide)
    assert not ours.passed
    assert "it holds" in ours.reason
    assert "at [1]" in ours.reason
    theirs = compare_output("y", floats(1, 2), floats(1, value), wide)
    assert not theirs.passed
    assert "the reference holds" in theirs.reason
    assert not compare_output("y", floats(value), floats(value), wide).passed


def test_shape_and_element_type_must_be_the_same() -> None:
    shape = compare_output("y", np.zeros((1, 4)), np.zeros((4,)), Tolerance(atol=1))
    assert not shape.passed
    assert shape.reason == "its shape is [1, 4], the reference's [4]"
    dtype = compare_output("y", np.zeros(4), floats(0, 0, 0, 0), Tolerance(atol=1))
    assert not dtype.passed
    assert dtype.reason == "its element type is float64, the reference's float32"


def test_integers_must_be_equal_unless_a_tolerance_is_given() -> None:
    expected = np.array([1000000, 5], dtype=np.int64)
    result = compare_output("y", expected + 1, expected, DEFAULT)
    assert not result.passed
    assert result.reason == "2 of 2 elements are outside equality"
    assert compare_output("y", expected + 1, expected, Tolerance(atol=1)).passed
    flags = np.array([True, False])
    assert compare_output("y", flags, flags, DEFAULT).passed
    assert not compare_output("y", ~flags, flags, DEFAULT).passed


def test_empty_outputs_pass_and_missing_or_added_ones_fail() -> None:
    empty = np.zeros((0, 3), dtype=np.float32)
    assert compare_output("y", empty, empty, DEFAULT).passed
    missing, added = compare({"b": empty}, {"a": empty}, DEFAULT)
    assert (missing.name, missing.passed, missing.reason) == ("a", False, "the output is missing")
    assert (added.name, added.passed) == ("b", False)


def test_an_output_of_zeros_must_be_matched_exactly() -> None:
    assert compare_output("y", floats(0, 0), floats(0, 0), DEFAULT).passed
    result = compare_output("y", floats(0, 1e-30), floats(0, 0), DEFAULT)
    assert not result.passed
    assert math.isinf(result.of_largest)


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
def test_a_tolerance_must_be_a_finite_number_of_zero_or_more(value: float) -> None:
    with pytest.raises(UsageError, match="the tolerance atol is"):
        Tolerance(atol=value)
    with pytest.raises(UsageError, match="the tolerance rtol is"):
        Tolerance(rtol=value)


def test_scalars_are_compared_too() -> None:
    assert compare_output("y", np.float32(1).reshape(()), np.float32(1).reshape(()), DEFAULT).passed
    result = compare_output("y", np.array(2.0), np.array(1.0), DEFAULT)
    assert not result.passed
    assert result.worst_index == ()
