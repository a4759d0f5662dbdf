"""The vector forms against float64, over the whole range and at its ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import tvm
from tvm import s_tir, tirx

from edgewright.schedules.rules import vectorize_math
from edgewright.schedules.rules.algebra import calls_in, const, variable
from edgewright.schedules.rules.contract import violations
from edgewright.spec.target import Target
from tests.schedules.rules.legalized import Array

ELEMS, LANES = 1 << 18, 16
REFERENCES: dict[str, Any] = {
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.special.erf,
}
#: Largest error in units in the last place.
MOST_ULP = {"exp": 1.0, "log": 1.0, "tanh": 1.4, "sigmoid": 2.6, "erf": 1.4}
#: What is asked of each function, beyond which its result is constant or denormal.
RANGES = {
    "exp": (-87.0, 88.72),
    "tanh": (-12.0, 12.0),
    "sigmoid": (-87.0, 30.0),
    "erf": (-5.0, 5.0),
}
ENDS = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-38, -1e-38, 1.0, -1.0, 100.0, -110.0)


def _kernel(store: Any, width: int = LANES) -> Any:
    """``for outer: vector lane: y[i] = store(x, i)`` with the vector forms."""
    x, y = (tirx.decl_buffer((ELEMS,), "float32", name) for name in "xy")
    outer, lane = variable("outer"), variable("lane")
    index = outer * const(width) + lane
    body = tirx.BufferStore(y, store(x, index), [index])
    vector = tirx.For(lane, const(0), const(width), tirx.ForKind.VECTORIZED, body)
    loop = tirx.For(outer, const(0), const(ELEMS // width), tirx.ForKind.PARALLEL, vector)
    block = s_tir.SBlock([], [], [], "root", vectorize_math(loop))
    root = s_tir.SBlockRealize([], tirx.const(True, "bool"), block)
    return tirx.PrimFunc([x, y], root).with_attr(
        {"global_symbol": "main", "tirx.noalias": True, "s_tir": True}
    )


def _run(func: Any, target: Target, values: Array) -> Array:
    library = tvm.compile(tvm.IRModule({"main": func}), tvm.target.Target(target.tvm_dict()))
    result = tvm.runtime.tensor(np.zeros(ELEMS, "float32"))
    library["main"](tvm.runtime.tensor(values), result)
    return result.numpy()


def _samples(name: str) -> Array:
    generator = np.random.default_rng(3)
    if name == "log":
        bits = generator.integers(0x00800000, 0x7F7FFFFF, ELEMS, dtype=np.int32)
        values = bits.view(np.float32).copy()
        values[: ELEMS // 4] = generator.uniform(0.5, 2.0, ELEMS // 4)
        return values
    values = generator.uniform(*RANGES[name], ELEMS).astype(np.float32)
    values[: ELEMS // 4] *= (10.0 ** generator.uniform(-20, 0, ELEMS // 4)).astype(np.float32)
    return values


@pytest.mark.parametrize("name", REFERENCES)
def test_form_is_exact_to_the_last_places(name: str, host: Target) -> None:
    values = _samples(name)
    ends = np.array(ENDS, "float32")
    values[: len(ends)] = ends
    func = _kernel(lambda x, i: getattr(tirx, name)(x[i]))
    assert f"tirx.{name}" not in calls_in(func.body)
    assert violations(func) == ()
    found = _run(func, host, values)

    exact = REFERENCES[name](torch.from_numpy(values).double()).numpy()
    rounded = REFERENCES[name](torch.from_numpy(ends).double()).float().numpy()
    np.testing.assert_allclose(found[: len(ends)], rounded, rtol=1e-6, atol=1.2e-38)
    error = np.abs(found[len(ends) :] - exact[len(ends) :])
    units = np.spacing(np.abs(exact[len(ends) :]).astype("float32")).astype("float64")
    assert np.max(error / units) <= MOST_ULP[name]


@pytest.mark.parametrize("name", ["sinh", "cosh", "asin", "acos", "asinh", "atanh"])
def test_functions_that_tvm_lacks_call_the_c_library(name: str, host: Target) -> None:
    values = np.random.default_rng(5).uniform(-0.99, 0.99, ELEMS).astype("float32")
    found = _run(_kernel(lambda x, i: getattr(tirx, name)(x[i])), host, values)
    exact = getattr(torch, name)(torch.from_numpy(values).double()).numpy()
    np.testing.assert_allclose(found, exact, rtol=2e-6, atol=1e-7)


def test_a_guarded_load_stays_guarded(host: Target) -> None:
    """The argument of a call in a branch is loaded under the branch's condition only."""

    def shifted(x: Any, i: Any) -> Any:
        return tirx.if_then_else(
            i >= const(LANES), tirx.exp(x[i - const(LANES)]), tirx.const(7.0, "float32")
        )

    func = _kernel(shifted)
    values = np.random.default_rng(6).uniform(-1, 1, ELEMS).astype("float32")
    found = _run(func, host, values)
    np.testing.assert_array_equal(found[:LANES], np.full(LANES, 7.0, "float32"))
    np.testing.assert_allclose(found[LANES:], np.exp(values[:-LANES]), rtol=3e-7)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, 0.25, 0.75, 1.5, 0.6])
def test_powers(exponent: float, host: Target) -> None:
    values = np.random.default_rng(9).uniform(0, 50, ELEMS).astype("float32")
    values[:6] = (0.0, -0.0, np.inf, -np.inf, np.nan, -1.0)
    func = _kernel(lambda x, i: tirx.power(x[i], tirx.const(exponent, "float32")))
    assert ("tirx.pow" in calls_in(func.body)) == (exponent == 0.6)
    with np.errstate(invalid="ignore"):
        exact = np.power(values.astype("float64"), exponent)
    if exponent == 0.5:
        exact[3] = np.inf  # as C's pow has it; numpy takes the square root
    np.testing.assert_allclose(_run(func, host, values), exact, rtol=3e-7)


def test_nested_calls_and_scalar_code(host: Target) -> None:
    func = _kernel(lambda x, i: tirx.tanh(tirx.log(tirx.exp(x[i]))), width=1)
    values = np.random.default_rng(8).uniform(-3, 3, ELEMS).astype("float32")
    np.testing.assert_allclose(
        _run(func, host, values), np.tanh(values.astype("float64")), rtol=1e-6, atol=2e-7
    )


def test_other_types_are_left() -> None:
    x = tirx.decl_buffer((4,), "float64", "x")
    store = tirx.BufferStore(x, tirx.exp(x[0]), [0])
    assert vectorize_math(store).same_as(store)
