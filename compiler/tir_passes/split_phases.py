"""Cut a scheduled PrimFunc into one PrimFunc for each of its parallel regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import s_tir, tirx

__all__ = ["Phases", "split_phases"]


@dataclass(frozen=True)
class Phases:
    """The parallel regions of one kernel, in the order they must run.

    Attributes:
        prim_funcs: one ``tirx.PrimFunc`` for each region, all with the same parameters: those of
            the kernel, then its intermediates.
        intermediates: buffers that outlive their region; the memory plan places them.
    """

    prim_funcs: tuple[Any, ...]
    intermediates: tuple[Any, ...]


def split_phases(func: Any) -> Phases:
    """Split a kernel at its top-level loop nests.

    Before::

        def kernel(x, y):
            t = sblock_alloc_buffer(...)
            for i in parallel(n): t[...] = f(x)
            for i in parallel(m): y[...] = g(t)

    After::

        def kernel_0(x, y, t): for i in parallel(n): t[...] = f(x)
        def kernel_1(x, y, t): for i in parallel(m): y[...] = g(t)

    A barrier between the regions is then the runtime's business, and no kernel allocates memory.

    Case 1: a top-level loop that is parallel becomes a phase as it is.
    Case 2: a top-level statement that is not becomes a phase of one task.

    Args:
        func: a scheduled ``tirx.PrimFunc`` whose body is an ``SBlockRealize`` of the root block.
    """
    root = func.body.block
    body = root.body
    statements: Sequence[Any] = list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]
    intermediates = tuple(root.alloc_buffers)
    params = [*func.params, *intermediates]
    return Phases(
        tuple(
            tirx.PrimFunc(params, _as_root(_as_parallel(statement)), attrs=func.attrs)
            for statement in statements
        ),
        intermediates,
    )


def _as_parallel(statement: Any) -> Any:
    if isinstance(statement, tirx.For) and statement.kind == tirx.ForKind.PARALLEL:
        return statement
    return tirx.For(tirx.Var("task", "int32"), 0, 1, tirx.ForKind.PARALLEL, statement)


def _as_root(statement: Any) -> Any:
    block = s_tir.SBlock([], [], [], "root", statement)
    return s_tir.SBlockRealize([], tirx.const(True, "bool"), block)
