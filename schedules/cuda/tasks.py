"""Last resort: loops as they are written, one thread for each task; right, and slow."""

from __future__ import annotations

from typing import Any

from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import substitute
from edgewright.schedules.rules.contract import allocations_in
from edgewright.schedules.rules.opaque import schedule_opaque
from edgewright.spec.gpu import Gpu
from edgewright.spec.target import CORES

__all__ = ["schedule_tasks"]


def schedule_tasks(func: Any, gpu: Gpu) -> Any | str:
    """Cut a function into tasks as for a CPU, and give each a block of one thread.

    Before::

        for row in parallel(rows): statements

    After::

        for row in thread_binding(rows, "blockIdx.x"):
            for thread in thread_binding(1, "threadIdx.x"): statements
    """
    del gpu  # a thread is a thread
    scheduled = schedule_opaque(func, CORES["cortex-a53"])
    root = scheduled.body.block
    statements = list(root.body.seq) if isinstance(root.body, tirx.SeqStmt) else [root.body]
    bound = [_bound(statement) for statement in statements]
    body = bound[0] if len(bound) == 1 else tirx.SeqStmt(bound)
    block = s_tir.SBlock([], [], [], "root", body, alloc_buffers=list(root.alloc_buffers))
    return func.with_body(s_tir.SBlockRealize([], tirx.const(True, "bool"), block))


def _bound(loop: Any) -> Any:
    """A parallel loop as blocks of one thread, with what it allocates in registers."""
    local = {
        buffer: tirx.decl_buffer(buffer.ty.shape, buffer.ty.dtype, buffer.name, scope="local")
        for buffer in allocations_in(loop)
    }
    body = substitute(loop.body, local)
    thread = _thread_loop(tirx.Var("thread", loop.loop_var.ty.dtype), 1, "threadIdx.x", body)
    return _thread_loop(loop.loop_var, loop.extent, "blockIdx.x", thread)


def _thread_loop(variable: Any, extent: Any, tag: str, body: Any) -> Any:
    axis = tirx.IterVar(None, tirx.Var("", "int32"), tirx.IterVar.ThreadIndex, tag)
    return tirx.For(variable, 0, extent, tirx.ForKind.THREAD_BINDING, body, axis)
