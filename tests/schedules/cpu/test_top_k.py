"""The sort of rows against numpy's stable one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.schedules.cpu.top_k import top_k
from tests.schedules.execution import TARGETS

Array = npt.NDArray[Any]


@lru_cache(maxsize=256)
def built(rows: int, extent: int, k: int, dtype: str, largest: bool) -> Any:
    func = top_k("main", rows, extent, k, dtype, largest=largest)
    module = tvm.IRModule({"main": func})
    return tvm.compile(module, target=tvm.target.Target(TARGETS[0].tvm_dict()))["main"]


def check(x: Array, k: int, largest: bool) -> None:
    rows, extent = x.shape
    values, indices = np.zeros((rows, k), x.dtype), np.full((rows, k), -1, np.int64)
    arrays = [tvm_ffi.from_dlpack(array) for array in (x, values, indices)]
    built(rows, extent, k, str(x.dtype), largest)(*arrays)
    keys = -x.astype(np.float64) if largest else x.astype(np.float64)
    order = np.argsort(keys, axis=1, kind="stable")[:, :k]
    assert np.array_equal(indices, order)
    assert np.array_equal(values, np.take_along_axis(x, order, axis=1))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 4),
    extent=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    largest=st.booleans(),
    data=st.data(),
)
def test_rows_of_any_length(rows: int, extent: int, seed: int, largest: bool, data: Any) -> None:
    k = data.draw(st.integers(1, extent))
    # Few different numbers: most are equal to others, whose order counts.
    x = np.random.default_rng(seed).integers(-3, 4, (rows, extent)).astype(np.float32)
    check(x, k, largest)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
@pytest.mark.parametrize("largest", [True, False])
def test_types(dtype: str, largest: bool) -> None:
    x = np.random.default_rng(1).integers(0, 200, (3, 1000)).astype(dtype)
    check(x, 17, largest)


def test_infinities() -> None:
    x = np.array([[np.inf, 1, -np.inf, np.inf, 0]], np.float32)
    check(x, 5, True)
    check(x, 5, False)
