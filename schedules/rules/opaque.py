"""Rule of last resort: functions that are no sequence of plain stages (scatter, scan).

1. A loop that is already ``parallel`` stays; parallel loops inside it become serial.
2. The outermost loop of a nest around a single block becomes parallel, if the block binds it to one
   data-parallel axis.
3. Everything else runs in one task, neighbours together.
4. Buffers of 1 KB and more move to the root, where a loop with one inside runs in one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm_ffi
from tvm import ir, s_tir, tirx

from edgewright.schedules.rules.algebra import const, int_value, nodes_in, substitute
from edgewright.schedules.rules.contract import MOST_LOCAL_BYTES, allocations_in, buffer_bytes
from edgewright.schedules.rules.loops import parallel, sequence, task_variable
from edgewright.schedules.rules.nests import rebuilt
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.target import Target

__all__ = ["schedule_opaque"]

_DATA_PARALLEL = 0
_RUNTIME_CALLS = {"tirx.tvm_call_packed", "tirx.tvm_call_cpacked"}


@dataclass
class _Root:
    """Top-level statements, and what they need declared."""

    statements: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=list)
    views: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def schedule_opaque(func: Any, target: Target) -> Any:
    """The function with its loops as they are, under parallel loops.

    Raises:
        UnsupportedModelError: it calls into TVM's runtime, which a board does not have.
    """
    del target  # loops stay as they are on every core
    _refuse_runtime_calls(func)
    root = _Root()
    _flatten(func.body, root)
    nests: list[Any] = []
    together: list[Any] = []
    declared = [*root.views, *root.values]

    def flush() -> None:
        if together:
            nests.append(_one_task([*declared, *together]))
            together.clear()

    for statement in root.statements:
        large = _large_buffers(statement)
        loop = None if large else _parallel_loop(statement)
        if loop is None:
            root.buffers.extend(large)
            together.append(_without_allocations(_serialised(statement), large))
        else:
            flush()
            var, task = task_variable()
            value = tirx.Cast(str(loop.loop_var.ty.dtype), task)
            body = substitute(_serialised(loop.body), {loop.loop_var: value})
            nests.append(parallel(var, int(loop.extent), sequence([*declared, body])))
    flush()
    return rebuilt(func, nests, root.buffers)


def _refuse_runtime_calls(func: Any) -> None:
    for call in nodes_in(func.body, ir.Call):
        if getattr(call.op, "name", "") in _RUNTIME_CALLS:
            name = getattr(call.args[0], "value", "?")
            raise UnsupportedModelError(
                f"an operator lowers to a call of TVM's runtime function '{name}'",
                rule="A bundle holds no TVM runtime.",
                remedy="Rewrite the operator (sorting and top-k) out of the model.",
            )


def _flatten(statement: Any, root: _Root) -> None:
    """Collect top-level statements through blocks without axes, sequences and pragmas."""
    if isinstance(statement, tirx.SeqStmt):
        for part in statement.seq:
            _flatten(part, root)
    elif isinstance(statement, s_tir.SBlockRealize) and _is_transparent(statement):
        root.buffers.extend(statement.block.alloc_buffers)
        _flatten(statement.block.body, root)
    elif isinstance(statement, tirx.AttrStmt) and statement.attr_key.startswith("pragma_"):
        _flatten(statement.body, root)
    elif isinstance(statement, tirx.AllocBuffer):
        root.buffers.append(statement.buffer)
    elif isinstance(statement, tirx.DeclBuffer):
        root.views.append(statement)
    elif isinstance(statement, tirx.Bind):
        root.values.append(statement)
    else:
        root.statements.append(statement)


def _is_transparent(realize: Any) -> bool:
    block = realize.block
    return (
        not block.iter_vars
        and block.init is None
        and not block.match_buffers
        and int_value(realize.predicate) == 1
    )


def _one_task(statements: Sequence[Any]) -> Any:
    return parallel(task_variable()[0], 1, sequence(statements))


def _parallel_loop(statement: Any) -> Any | None:
    """The statement as a loop of constant extent that may run in parallel, or None."""
    if not isinstance(statement, tirx.For) or int_value(statement.extent) is None:
        return None
    if int_value(statement.min) != 0 or int_value(statement.extent) == 0:
        return None
    if statement.kind == tirx.ForKind.PARALLEL:
        return statement
    inner = statement.body
    while isinstance(inner, tirx.For):
        inner = inner.body
    if statement.kind != tirx.ForKind.SERIAL or not isinstance(inner, s_tir.SBlockRealize):
        return None
    bound = [
        iter_var.iter_type
        for iter_var, binding in zip(inner.block.iter_vars, inner.iter_values, strict=True)
        if statement.loop_var in nodes_in(binding, ir.Var)
    ]
    whole = [binding for binding in inner.iter_values if binding.same_as(statement.loop_var)]
    return statement if bound == [_DATA_PARALLEL] and len(whole) == 1 else None


def _serialised(statement: Any) -> Any:
    def serial(loop: Any) -> Any:
        if loop.kind != tirx.ForKind.PARALLEL:
            return loop
        return tirx.For(loop.loop_var, loop.min, loop.extent, tirx.ForKind.SERIAL, loop.body)

    return tvm_ffi.structural_map(statement, [(tirx.For, serial)])


def _large_buffers(statement: Any) -> list[Any]:
    return [b for b in allocations_in(statement) if buffer_bytes(b) >= MOST_LOCAL_BYTES]


def _without_allocations(statement: Any, moved: Sequence[Any]) -> Any:
    if not moved:
        return statement

    def allocation(node: Any) -> Any:
        return tirx.Evaluate(const(0)) if node.buffer in moved else node

    def block(node: Any) -> Any:
        kept = [buffer for buffer in node.alloc_buffers if buffer not in moved]
        return s_tir.SBlock(
            node.iter_vars,
            node.reads,
            node.writes,
            node.name_hint,
            node.body,
            node.init,
            kept,
            node.match_buffers,
            node.annotations,
        )

    rules = [(tirx.AllocBuffer, allocation), (s_tir.SBlock, block)]
    return tvm_ffi.structural_map(statement, rules)
