"""Give lowered kernels a C signature that needs nothing of TVM."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx
from tvm.ir import PointerType, PrimType

__all__ = ["UsePlainAbi"]

_DEVICE_CPU = 1


def UsePlainAbi() -> Any:
    """Replace ``MakePackedAPI``: pointers and a range of tasks in, a status out.

    Before::

        def kernel(x: Buffer, y: Buffer):
            for i in parallel(n): body

    After::

        int32_t kernel(float* x, float* y, int32_t begin, int32_t end) {
            for (int32_t task = 0; task < end - begin; ++task) { i = task + begin; body }
            return 0;
        }

    Case 1: buffer parameters become pointers, declared again inside.
    Case 2: the one top-level parallel loop runs the tasks [begin, end). The new loop counts from 0,
    because later passes of TVM 0.27 miscompile loops that do not (docs/tvm-notes.md).
    """

    def rewrite(module: Any, _context: Any) -> Any:
        functions = {
            name: _plain(func) if isinstance(func, tirx.PrimFunc) else func
            for name, func in module.functions.items()
        }
        return tvm.IRModule(functions, attrs=module.attrs)

    return tvm.transform.module_pass(rewrite, opt_level=0, name="UsePlainAbi")


def _plain(func: Any) -> Any:
    begin, end = tirx.Var("begin", "int32"), tirx.Var("end", "int32")
    pointers, declarations = [], []
    for param in func.params:
        pointer = tirx.Var(f"{param.name}_ptr", PointerType(PrimType(str(param.dtype))))
        pointers.append(pointer)
        declarations.append(tirx.DeclBuffer(param, data=pointer))
    body = _with_task_range(func.body, begin, end)
    for key, value in (("device_type", _DEVICE_CPU), ("device_id", 0)):
        body = tirx.AttrStmt("default", key, tirx.IntImm("int32", value), body)
    return tirx.PrimFunc(
        [*pointers, begin, end],
        tirx.SeqStmt([*declarations, body, tirx.Return(tirx.IntImm("int32", 0))]),
        PrimType("int32"),
        attrs=func.attrs,
    ).with_attr("calling_conv", 0)


def _with_task_range(body: Any, begin: Any, end: Any) -> Any:
    if isinstance(body, tirx.SeqStmt):
        return tirx.SeqStmt([_with_task_range(statement, begin, end) for statement in body.seq])
    if isinstance(body, tirx.For) and body.kind == tirx.ForKind.PARALLEL:
        task = tirx.Var("task", "int32")
        number = tirx.Cast(str(body.loop_var.ty.dtype), task + begin)
        bound = tirx.SeqStmt([tirx.Bind(body.loop_var, number), body.body])
        return tirx.For(task, 0, end - begin, tirx.ForKind.SERIAL, bound)
    return body
