"""Objects without a hook of TVM's, or none at all."""

from __future__ import annotations

from typing import Any

import pytest
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from edgewright.compiler.build import build_objects
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.target import host_target


def kernel_with_buffer(elems: int, scope: str) -> Any:
    """Each task sums its row through a buffer of its own."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer((4, elems), "float32"))
        y = T.arg("y", T.buffer((4, elems), "float32"))
        with T.sblock("root"), T.parallel(0, 4) as i:
            own = T.alloc_buffer((elems,), "float32", scope=scope)
            with T.serial(0, elems) as j:
                T.buffer_store(own, x[i, j] + tirx.FloatImm("float32", 1.0), [j])
            with T.serial(0, elems) as j:
                T.buffer_store(y, own[elems - 1 - j], [i, j])
    return builder.get()


def test_a_small_buffer_stays_on_the_stack() -> None:
    assert build_objects({"k": kernel_with_buffer(16, "global")}, host_target())


@pytest.mark.parametrize(("elems", "scope"), [(16, "local"), (4096, "global")])
def test_a_buffer_that_tvm_would_allocate_is_refused(elems: int, scope: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"TVMBackend(Alloc|Free)Workspace"):
        build_objects({"k": kernel_with_buffer(elems, scope)}, host_target())
