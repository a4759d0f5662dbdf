"""Kernels are cut at their parallel regions, and become C functions over ranges of tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from edgewright.compiler.build import build_objects
from edgewright.compiler.tir_passes.split_phases import split_phases
from edgewright.spec.target import host_target
from tests.compiler.load_object import load_objects

ROWS, COLUMNS = 6, 32


def two_phase_kernel(parallel: bool = True) -> Any:
    """``y = 2 (x + 1)`` with a buffer between two top-level loops."""
    loop = T.parallel if parallel else T.serial
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer((ROWS, COLUMNS), "float32"))
        y = T.arg("y", T.buffer((ROWS, COLUMNS), "float32"))
        with T.sblock("root"):
            between = T.sblock_alloc_buffer((ROWS, COLUMNS), "float32")
            with loop(0, ROWS) as i, T.serial(0, COLUMNS) as j:
                T.buffer_store(between, x[i, j] + tirx.FloatImm("float32", 1.0), [i, j])
            with loop(0, ROWS) as i, T.serial(0, COLUMNS) as j:
                T.buffer_store(y, between[i, j] * tirx.FloatImm("float32", 2.0), [i, j])
    return builder.get()


def extents(func: Any) -> int:
    return int(func.body.block.body.extent)


def test_case_1_each_parallel_loop_is_a_phase() -> None:
    phases = split_phases(two_phase_kernel())
    assert [extents(func) for func in phases.prim_funcs] == [ROWS, ROWS]
    assert [len(func.params) for func in phases.prim_funcs] == [3, 3]
    assert [tuple(map(int, b.shape)) for b in phases.intermediates] == [(ROWS, COLUMNS)]


def test_case_2_a_serial_loop_is_a_phase_of_one_task() -> None:
    phases = split_phases(two_phase_kernel(parallel=False))
    assert [extents(func) for func in phases.prim_funcs] == [1, 1]


@pytest.mark.parametrize(("begin", "end"), [(0, ROWS), (0, 0), (2, 5), (ROWS - 1, ROWS)])
def test_c_functions_run_exactly_their_tasks(begin: int, end: int) -> None:
    phases = split_phases(two_phase_kernel())
    kernels = {f"phase_{i}": func for i, func in enumerate(phases.prim_funcs)}
    library = load_objects(build_objects(kernels, host_target()))
    x = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
    y, between = np.full_like(x, -1), np.full_like(x, -2)
    pointers = [a.ctypes.data for a in (x, y, between)]
    assert library.call("phase_0", pointers, 0, ROWS) == 0
    assert library.call("phase_1", pointers, begin, end) == 0
    np.testing.assert_array_equal(between, x + 1)
    expected = np.full_like(x, -1)
    expected[begin:end] = 2 * (x[begin:end] + 1)
    np.testing.assert_array_equal(y, expected)


def test_objects_ask_for_nothing_of_tvm() -> None:
    phases = split_phases(two_phase_kernel())
    objects = build_objects({"phase": phases.prim_funcs[0]}, host_target())
    assert not [name for name in load_objects(objects).undefined if "tvm" in name.lower()]


def test_the_same_kernels_give_the_same_bytes() -> None:
    kernels = {f"p{i}": f for i, f in enumerate(split_phases(two_phase_kernel()).prim_funcs)}
    assert build_objects(kernels, host_target()) == build_objects(kernels, host_target())
