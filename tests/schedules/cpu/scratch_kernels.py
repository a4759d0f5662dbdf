"""Runs convolution kernels that have scratch memory, and compares them with float64."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import tvm
import tvm_ffi

from edgewright.schedules.kernel import Kernel
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target
from tests.schedules import references
from tests.schedules.execution import F32, Poisoned, blocked, plain

#: Tensors of a workload: input, weights, bias, residual.
Arrays = tuple[F32, F32, F32, F32]


def arrays(w: Conv2dWorkload, seed: int = 0) -> Arrays:
    """Random tensors of a workload, of plain layout."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> F32:
        return rng.standard_normal(shape).astype(np.float32)

    return (
        normal(w.batch, w.in_channels, w.in_h, w.in_w),
        normal(w.out_channels, w.in_channels // w.groups, w.kernel_h, w.kernel_w),
        normal(w.out_channels),
        normal(w.batch, w.out_channels, w.out_h, w.out_w),
    )


@lru_cache(maxsize=64)
def _built(kernel: Kernel, target: Target) -> Any:
    module = tvm.IRModule({"main": kernel.prim_func.with_attr("global_symbol", "main")})
    return tvm.compile(module, target=tvm.target.Target(target.tvm_dict()))["main"]


def run_convolution(
    kernel: Kernel, w: Conv2dWorkload, target: Target, tensors: Arrays, *, nchw: bool = False
) -> F32:
    """Runs a kernel whose tensors, scratch memory too, are filled with NaN and lie in a sea of it.

    Asserts that it writes its output, finite, and its scratch memory, and nothing else.

    Args:
        kernel: with or without scratch memory.
        w: what it computes.
        target: an instruction set of this machine.
        tensors: input, weights, bias, residual, of plain layout.
        nchw: it reads a plain input, here at an address that is no multiple of 64.

    Returns:
        The output, of plain layout.
    """
    lanes = target.isa.vec_lanes
    x, weights, bias, residual = tensors
    assert kernel.pack_weights is not None
    inputs = [x if nchw else blocked(x, lanes), kernel.pack_weights(weights)]
    if w.epilogue.bias:
        assert kernel.pack_bias is not None
        inputs.append(kernel.pack_bias(bias))
    if w.epilogue.residual:
        inputs.append(blocked(residual, lanes))
    out_shape = (w.batch, math.ceil(w.out_channels / lanes), w.out_h, w.out_w, lanes)
    scratch = [(kernel.scratch_bytes // 4,)] if kernel.scratch_bytes else []
    empty = [np.full(shape, np.nan, np.float32) for shape in (*scratch, out_shape)]
    shifts = [4 * nchw, *[0] * (len(inputs) + len(empty) - 1)]
    poisoned = [Poisoned(v, shift) for v, shift in zip((*inputs, *empty), shifts, strict=True)]
    _built(kernel, target)(*(tvm_ffi.from_dlpack(p.view, require_alignment=4) for p in poisoned))
    for before, after in zip(inputs, poisoned, strict=False):
        assert np.array_equal(before, after.view), "an input was written"
    assert all(p.surroundings_untouched() for p in poisoned), "written out of bounds"
    assert np.isfinite(poisoned[-1].view).all(), "output is incomplete, or reads beyond an input"
    return plain(poisoned[-1].view, w.out_channels)


def check_convolution(
    kernel: Kernel, w: Conv2dWorkload, target: Target, *, nchw: bool = False
) -> tuple[float, float]:
    """Largest error against PyTorch in float64, and the largest value that it computes."""
    tensors = arrays(w, seed=w.in_channels)
    expected = references.conv2d(w, *tensors)
    error = np.abs(run_convolution(kernel, w, target, tensors, nchw=nchw) - expected)
    return float(error.max()), float(np.abs(expected).max())
