"""Which rule claims what, what the others say, and what the last one does."""

from __future__ import annotations

from typing import Any

import pytest
from tvm import s_tir, tirx
from tvm.relax import op

from edgewright.schedules.rules import RULES, schedule_prim_func
from edgewright.schedules.rules.algebra import const, nodes_in, variable
from edgewright.schedules.rules.contract import violations
from edgewright.schedules.rules.loops import sequence
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.target import Target
from tests.schedules.rules.legalized import Tensor, legalized, prim_funcs, relax_module, scheduled

PARALLEL, SERIAL = tirx.ForKind.PARALLEL, tirx.ForKind.SERIAL


def _only(build: Any, host: Target, *shapes: tuple[int, ...]) -> Any:
    module = legalized(relax_module(build, [Tensor(shape) for shape in shapes]), host)
    (func,) = prim_funcs(module).values()
    return func


def test_the_order_is_part_of_the_interface() -> None:
    assert [name for name, _ in RULES] == ["elementwise", "contraction", "reduction", "opaque"]


def test_those_who_declined_say_why(host: Target) -> None:
    answer = schedule_prim_func(_only(lambda x: op.sum(x, 0), host, (3, 5)), host)
    assert answer.rule == "reduction"
    assert answer.declined == (
        "elementwise: has a reduction",
        "contraction: no sum of products with operands to reuse",
    )
    answer = schedule_prim_func(_only(lambda x: op.cumsum(x, 0), host, (3, 5)), host)
    assert answer.rule == "opaque"
    assert set(answer.declined) == {
        f"{rule}: not a sequence of plain stages"
        for rule in ("elementwise", "contraction", "reduction")
    }


def test_parameters_and_attributes_stay(host: Target) -> None:
    func = _only(lambda x: op.nn.softmax(x, -1), host, (3, 5))
    answer = schedule_prim_func(func, host)
    assert list(answer.func.params) == list(func.params)
    assert answer.func.attrs["tirx.noalias"]
    assert answer.func.attrs["op_pattern"] == func.attrs["op_pattern"]


def test_scheduling_does_not_depend_on_the_run(host: Target) -> None:
    func = _only(lambda x: op.nn.layer_norm(x, x, x, [-1]), host, (9,))
    first, second = (schedule_prim_func(func, host).func.script() for _ in range(2))
    assert first == second


def test_a_call_of_the_runtime_is_refused(host: Target) -> None:
    module = legalized(relax_module(lambda x: op.sort(x), [Tensor((3, 5))]), host)
    with pytest.raises(UnsupportedModelError, match=r"tvm\.contrib\.sort.*holds no TVM runtime"):
        scheduled(module, host)


def test_symbolic_offsets_become_zero(host: Target) -> None:
    func = _only(lambda x: op.cumsum(x, 0), host, (3, 5))
    assert isinstance(func.params[0].ty.elem_offset, tirx.Var)
    answer = schedule_prim_func(func, host)
    assert int(answer.func.params[0].ty.elem_offset) == 0
    assert violations(answer.func) == ()


def _scheduled_body(host: Target, *statements: Any) -> list[Any]:
    x = tirx.decl_buffer((64,), "float32", "x")
    block = s_tir.SBlock([], [], [], "root", sequence([s(x) for s in statements]))
    func = tirx.PrimFunc([x], s_tir.SBlockRealize([], tirx.const(True, "bool"), block))
    answer = schedule_prim_func(func, host)
    assert answer.rule == "opaque"
    assert violations(answer.func) == ()
    body = answer.func.body.block.body
    return list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]


def _loop(kind: Any, extent: int, body: Any) -> Any:
    var = variable("i")
    return tirx.For(var, const(0), const(extent), kind, body(var))


def _store(x: Any, index: Any) -> Any:
    return tirx.BufferStore(x, tirx.const(1.0, "float32"), [index])


def test_parallel_loops_stay_and_neighbours_that_are_not_share_a_task(host: Target) -> None:
    nests = _scheduled_body(
        host,
        lambda x: _loop(PARALLEL, 8, lambda i: _store(x, i)),
        lambda x: _loop(SERIAL, 4, lambda i: _store(x, i)),
        lambda x: _store(x, const(9)),
    )
    assert [int(nest.extent) for nest in nests] == [8, 1]


def test_a_parallel_loop_inside_becomes_serial(host: Target) -> None:
    (nest,) = _scheduled_body(
        host, lambda x: _loop(SERIAL, 4, lambda i: _loop(PARALLEL, 4, lambda j: _store(x, i + j)))
    )
    assert [loop.kind for loop in nodes_in(nest.body, tirx.For)] == [SERIAL, SERIAL]


def test_a_large_buffer_moves_to_the_root(host: Target) -> None:
    large = tirx.decl_buffer((300,), "float32", "large")

    def allocating(x: Any) -> Any:
        return _loop(
            PARALLEL,
            4,
            lambda i: tirx.SeqStmt(
                [tirx.AllocBuffer(large), _store(large, i), tirx.BufferStore(x, large[i], [i])]
            ),
        )

    x = tirx.decl_buffer((64,), "float32", "x")
    block = s_tir.SBlock([], [], [], "root", allocating(x))
    func = tirx.PrimFunc([x], s_tir.SBlockRealize([], tirx.const(True, "bool"), block))
    answer = schedule_prim_func(func, host).func
    assert violations(answer) == ()
    assert list(answer.body.block.alloc_buffers) == [large]
    assert int(answer.body.block.body.extent) == 1
