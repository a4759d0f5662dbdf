"""The check finds each way of breaking the contract, so that passing it means something."""

from __future__ import annotations

from typing import Any

import pytest
from tvm import s_tir, tirx
from tvm.relax import op

from edgewright.schedules.rules.algebra import const, variable
from edgewright.schedules.rules.contract import violations
from edgewright.spec.target import Target
from tests.schedules.rules.legalized import Tensor, legalized, prim_funcs, relax_module

PARALLEL, SERIAL = tirx.ForKind.PARALLEL, tirx.ForKind.SERIAL
X = tirx.decl_buffer((64,), "float32", "x")


def _store(index: Any) -> Any:
    return tirx.BufferStore(X, tirx.const(1.0, "float32"), [index])


def _loop(kind: Any, extent: int, body: Any, start: int = 0) -> Any:
    var = variable("i")
    return tirx.For(var, const(start), const(extent), kind, body(var))


def _func(body: Any) -> Any:
    block = s_tir.SBlock([], [], [], "root", body)
    return tirx.PrimFunc([X], s_tir.SBlockRealize([], tirx.const(True, "bool"), block))


def _allocating(elems: int) -> Any:
    buffer = tirx.decl_buffer((elems,), "float32", "t")
    return _loop(PARALLEL, 4, lambda i: tirx.SeqStmt([tirx.AllocBuffer(buffer), _store(i)]))


def _shared_variable() -> Any:
    loop = _loop(PARALLEL, 4, _store)
    return tirx.SeqStmt([loop, loop])


def test_a_parallel_loop_keeps_the_contract() -> None:
    assert violations(_func(_loop(PARALLEL, 64, _store))) == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_loop(SERIAL, 64, _store), "statement 0 is not a parallel loop"),
        (_loop(PARALLEL, 4, _store, start=1), "loop 0 runs from T.int64(1) over T.int64(4)"),
        (
            _loop(PARALLEL, 4, lambda i: _loop(PARALLEL, 4, lambda j: _store(i + j))),
            "loop 0 has a parallel loop inside",
        ),
        (_allocating(256), "loop 0 allocates 1024 bytes inside"),
        (_shared_variable(), "two loops share a variable"),
    ],
)
def test_each_violation_is_found(body: Any, message: str) -> None:
    assert violations(_func(body)) == (message,)


def test_a_small_buffer_may_be_allocated_inside() -> None:
    assert violations(_func(_allocating(255))) == ()


def test_an_unscheduled_function_breaks_it(host: Target) -> None:
    module = legalized(relax_module(op.exp, [Tensor((3, 5))]), host)
    (func,) = prim_funcs(module).values()
    assert violations(func) == ("statement 0 is not a parallel loop",)


def test_a_body_without_root_block_breaks_it() -> None:
    func = tirx.PrimFunc([X], _loop(PARALLEL, 64, _store))
    assert violations(func) == ("the body is not a root block",)
