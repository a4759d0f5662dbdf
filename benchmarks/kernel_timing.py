"""Calls of generated kernels on this machine, and how they are timed."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ["TVM_NUM_THREADS"] = "1"

import numpy as np
import numpy.typing as npt
import tvm
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import core_rates
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = [
    "F32",
    "blocked",
    "conv_call",
    "interleaved",
    "kernel_call",
    "peak_function",
    "plain",
    "random",
]

F32 = npt.NDArray[np.float32]
#: Seconds that one measurement of one side lasts, about.
SAMPLE_SECONDS = 0.006


def compiled(function: Any, target: Target) -> Any:
    """The packed function of a PrimFunc."""
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    return tvm.compile(module, target=tvm.target.Target(target.tvm_dict()))["main"]


def peak_function(target: Target, turns: int = 4096) -> tuple[Callable[[], None], int]:
    """A call that does nothing but multiply-adds on registers, and how many operations it does."""
    simd = mk.simd_of(target)
    columns = core_rates(target.isa).max_accumulators

    def emit() -> None:
        y = mk.declare("y", (columns * simd.lanes,))
        tile = mk.RegisterTile(1, columns, simd)
        factor, term = mk.constant(0.999, simd.lanes), mk.constant(0.0001, simd.lanes)
        for i in range(columns):
            tile.set(0, i, mk.constant(float(i), simd.lanes))
        with mk.index_loop(turns):
            for i in range(columns):
                tile.set(0, i, mk.multiply_add(term, tile.get(0, i), factor, simd))
        for i in range(columns):
            mk.store(y, (mk.index(i * simd.lanes),), tile.get(0, i), simd.lanes)
        builder.evaluate(0)

    function = compiled(mk.kernel_function("peak", emit), target)
    out = tvm.runtime.tensor(np.zeros(columns * simd.lanes, np.float32))
    return lambda: function(out), 2 * turns * columns * simd.lanes


def random(*shape: int, seed: int = 0) -> F32:
    """Small numbers, so that chains of layers neither vanish nor overflow."""
    return (np.random.default_rng(seed).standard_normal(shape) * 0.05).astype(np.float32)


def blocked(x: F32, lanes: int) -> F32:
    """``NCHW`` to ``NCHW{c}c``, the padding lanes 0."""
    batch, channels, height, width = x.shape
    blocks = -(-channels // lanes)
    padded = np.zeros((batch, blocks * lanes, height, width), np.float32)
    padded[:, :channels] = x
    tiled = padded.reshape(batch, blocks, lanes, height, width).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(tiled)


def plain(y: F32, channels: int) -> F32:
    """``NCHW{c}c`` to ``NCHW``."""
    batch, blocks, height, width, lanes = y.shape
    joined = y.transpose(0, 1, 4, 2, 3).reshape(batch, blocks * lanes, height, width)
    return np.ascontiguousarray(joined[:, :channels])


def kernel_call(
    kernel: Kernel, target: Target, inputs: Sequence[F32], out_shape: Sequence[int]
) -> tuple[Callable[[], None], Any]:
    """A call of a kernel and the output, a TVM tensor, that it writes.

    Args:
        kernel: the kernel; it gets scratch memory where it asks for some.
        target: this machine.
        inputs: every parameter before scratch memory and output.
        out_shape: the output's.
    """
    arrays = [*inputs]
    if kernel.scratch_bytes:
        arrays.append(np.zeros(kernel.scratch_bytes // 4, np.float32))
    function = compiled(kernel.prim_func, target)
    tensors = [tvm.runtime.tensor(array) for array in arrays]
    out = tvm.runtime.tensor(np.zeros(tuple(out_shape), np.float32))
    return lambda: function(*tensors, out), out


def conv_call(
    kernel: Kernel, w: Conv2dWorkload, target: Target, *, nchw: bool = False
) -> tuple[Callable[[], None], Any, tuple[F32, F32, F32]]:
    """A call of a convolution on random tensors, its output, and the tensors, of plain layout."""
    if kernel.pack_weights is None or kernel.pack_bias is None:
        raise SystemExit(f"{kernel.name} has no weights or no bias")
    lanes = target.isa.vec_lanes
    x = random(w.batch, w.in_channels, w.in_h, w.in_w)
    weights = random(w.out_channels, w.in_channels // w.groups, w.kernel_h, w.kernel_w, seed=1)
    bias = random(w.out_channels, seed=2)
    inputs = [
        x if nchw else blocked(x, lanes),
        kernel.pack_weights(weights),
        kernel.pack_bias(bias),
    ]
    out_shape = (w.batch, -(-w.out_channels // lanes), w.out_h, w.out_w, lanes)
    call, out = kernel_call(kernel, target, inputs, out_shape)
    return call, out, (x, weights, bias)


def interleaved(functions: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of one call of each function; the functions take turns."""
    calls = {}
    for name, function in functions.items():
        function()
        start = time.thread_time()
        function()
        took = max(time.thread_time() - start, 1e-7)
        calls[name] = max(1, int(SAMPLE_SECONDS / took))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function()
            start = time.thread_time()
            for _ in range(calls[name]):
                function()
            samples[name].append((time.thread_time() - start) / calls[name])
    return {name: statistics.median(values) for name, values in samples.items()}
