"""The way to machine code without TVM's runtime: on this machine run, for ARM built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.compiler.build import build_objects
from edgewright.compiler.tir_passes.split_phases import split_phases
from edgewright.spec.target import CORES, Target
from tests.compiler.load_object import load_objects, undefined_symbols
from tests.schedules.rules.legalized import Array, legalized, relax_module, scheduled
from tests.schedules.rules.operators import OPERATORS

#: Operators of one function each, so that its parameters are the model's inputs and output.
RUN_HERE = (
    "add_large",
    "softmax",
    "layer_norm",
    "max_pool",
    "matmul_bias_relu",
    "conv1d",
    "cumsum",
)
BUILD = (
    *RUN_HERE,
    "concat_last",
    "gelu",
    "resize_linear",
    "resize_many",
    "float16",
    "argmax_last",
    "conv2d_grouped",
)
#: What kernels may ask of the C library and the compiler's own one.
ALLOWED = ("__aeabi_", "__gnu_f2h", "__gnu_h2f", "mem", "floorf", "sqrtf", "roundf", "truncf")


def _phases(name: str, target: Target) -> tuple[dict[str, Any], Any]:
    case = OPERATORS[name]
    _, answers = scheduled(legalized(relax_module(case.build, case.inputs), target), target)
    (answer,) = answers.values()
    phases = split_phases(answer.func)
    return {f"{name}_{i}": func for i, func in enumerate(phases.prim_funcs)}, phases.intermediates


@pytest.fixture(scope="module")
def library(host: Target) -> Any:
    kernels: dict[str, Any] = {}
    for name in RUN_HERE:
        kernels.update(_phases(name, host)[0])
    return load_objects(build_objects(kernels, host))


def _zeros(buffer: Any) -> Array:
    return np.zeros([int(extent) for extent in buffer.ty.shape], str(buffer.ty.dtype))


@pytest.mark.parametrize("name", RUN_HERE)
def test_tasks_run_apart_and_in_any_order(name: str, host: Target, library: Any) -> None:
    kernels, intermediates = _phases(name, host)
    case = OPERATORS[name]
    generator = np.random.default_rng(4)
    inputs = [tensor.draw(generator) for tensor in case.inputs]
    output = _zeros(next(iter(kernels.values())).params[len(inputs)])
    buffers = [*inputs, output, *(_zeros(buffer) for buffer in intermediates)]
    pointers = [buffer.ctypes.data for buffer in buffers]
    for symbol, func in kernels.items():
        tasks = int(func.body.block.body.extent)
        middle = tasks // 3
        assert library.call(symbol, pointers, middle, tasks) == 0
        assert library.call(symbol, pointers, 0, middle) == 0

    import torch

    expected = case.reference(*[torch.from_numpy(x).double() for x in inputs]).numpy()
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a7", "arm1176", "arm926"])
def test_cores_build_and_need_no_more_than_c(core: str) -> None:
    target = CORES[core]
    kernels: dict[str, Any] = {}
    for name in BUILD:
        kernels.update(_phases(name, target)[0])
    objects = build_objects(kernels, target)
    needed = {symbol for code in objects.values() for symbol in undefined_symbols(code)}
    assert {symbol for symbol in needed if not symbol.startswith(ALLOWED)} == set()
