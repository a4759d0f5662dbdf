"""Infinite beginnings of maxima, hidden from TVM and put back."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx, topi

from edgewright.schedules.cuda.finite_extremes import with_finite_extremes, with_infinity_back
from edgewright.schedules.rules.algebra import nodes_in
from edgewright.schedules.rules.extremes import with_infinite_extremes


def numbers(func: Any) -> set[float]:
    return {node.value for node in nodes_in(func.body, tirx.FloatImm)}


def maximum() -> Any:
    x = te.placeholder((3, 64), name="x")
    return with_infinite_extremes(te.create_prim_func([x, topi.max(x, axis=1)]))


def test_there_and_back() -> None:
    func = maximum()
    lowest = float(np.finfo("float32").min)
    assert -np.inf in numbers(func)
    finite = with_finite_extremes(func)
    assert lowest in numbers(finite) and -np.inf not in numbers(finite)
    back = with_infinity_back(finite)
    assert -np.inf in numbers(back) and lowest not in numbers(back)


def test_a_models_own_largest_number_is_not_mixed_up() -> None:
    x = te.placeholder((3, 64), name="x")
    highest = float(np.finfo("float32").max)
    clipped = te.compute((3, 64), lambda i, j: tirx.min(x[i, j], highest))
    func = with_infinite_extremes(te.create_prim_func([x, topi.max(clipped, axis=1)]))
    assert with_finite_extremes(func) == "it has the largest finite number as a constant"
