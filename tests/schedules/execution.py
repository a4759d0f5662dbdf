"""Builds a generated kernel for this machine and runs it on tensors that lie in a sea of NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import tvm
import tvm_ffi

from edgewright.schedules.kernel import Kernel
from edgewright.schedules.workload import Activation
from edgewright.spec.target import Target, parse_target

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

#: Elements of NaN before and after each tensor; reads beyond a tensor end up in the result.
MARGIN = 4096


def _runnable() -> tuple[Target, ...]:
    """Every instruction set that this machine can execute."""
    host = parse_target("host")
    if host.arch != "x86_64":
        return (host,)
    levels = {"avx512": 4, "avx2": 3, "sse": 2}[host.isa.name]
    lower = [
        parse_target({"mtriple": "x86_64-linux-gnu", "mcpu": f"x86-64-v{level}", "num-cores": 2})
        for level in range(2, levels)
    ]
    return (host, *reversed(lower))


TARGETS = _runnable()


def each_target(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test for every instruction set of this machine."""
    mark = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.isa.name)
    marked: Callable[..., None] = mark(test)
    return marked


def examples(target: Target, most: int) -> int:
    """Examples of a property: all for the widest vectors, a third for each lesser set."""
    return most if target == TARGETS[0] else max(1, most // 3)


def blocked(x: F32, lanes: int, padding: float = 0.5) -> F32:
    """``NCHW`` to ``NCHW{c}c``; the padding lanes hold a value that must not matter."""
    batch, channels, height, width = x.shape
    blocks = -(-channels // lanes)
    padded = np.full((batch, blocks * lanes, height, width), padding, np.float32)
    padded[:, :channels] = x
    tiled = padded.reshape(batch, blocks, lanes, height, width).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(tiled)


def plain(y: F32, channels: int) -> F32:
    """``NCHW{c}c`` to ``NCHW``."""
    batch, blocks, height, width, lanes = y.shape
    joined = y.transpose(0, 1, 4, 2, 3).reshape(batch, blocks * lanes, height, width)
    return np.ascontiguousarray(joined[:, :channels])


def activated(x: F64, activation: Activation | None) -> F64:
    """The activation by its definition in ONNX's operator documents."""
    if activation is None:
        return x
    kind, alpha, beta = activation.kind, activation.alpha, activation.beta
    # PyTorch's tanh form of gelu cancels below zero, even in float64; x * sigmoid(2u) does not.
    tensor, slope = torch.from_numpy(x), 2.0 * np.sqrt(2.0 / np.pi)
    functions: dict[str, Callable[[], F64]] = {
        "relu": lambda: np.maximum(x, 0.0),
        "clip": lambda: np.clip(x, activation.low, activation.high),
        "leaky_relu": lambda: np.where(x >= 0.0, x, alpha * x),
        "hard_swish": lambda: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
        "hard_sigmoid": lambda: np.clip(alpha * x + beta, 0.0, 1.0),
        "sigmoid": lambda: torch.sigmoid(tensor).numpy(),
        "silu": lambda: torch.nn.functional.silu(tensor).numpy(),
        "swish": lambda: x * torch.sigmoid(alpha * tensor).numpy(),
        "tanh": lambda: np.tanh(x),
        "gelu": lambda: torch.nn.functional.gelu(tensor).numpy(),
        "gelu_tanh": lambda: (
            x * torch.sigmoid(tensor * (1.0 + 0.044715 * tensor**2) * slope).numpy()
        ),
        "mish": lambda: torch.nn.functional.mish(tensor).numpy(),
    }
    return activation.scale * functions[kind]()


class Poisoned:
    """A float32 tensor inside a larger allocation of NaN.

    Args:
        values: what the tensor holds; NaN everywhere for an output.
        misalign: bytes, a multiple of 4, by which the address misses the next 64-byte border.
    """

    def __init__(self, values: F32, misalign: int = 0) -> None:
        self.size = values.size
        self.flat = np.full(values.size + 2 * MARGIN + 32, np.nan, np.float32)
        self.start = MARGIN + (-(self.flat.ctypes.data // 4 + MARGIN)) % 16 + misalign // 4
        self.view = self.flat[self.start : self.start + values.size].reshape(values.shape)
        self.view[...] = values

    def surroundings_untouched(self) -> bool:
        """Whether everything around the tensor is still NaN."""
        before, after = self.flat[: self.start], self.flat[self.start + self.size :]
        return bool(np.isnan(before).all() and np.isnan(after).all())


@lru_cache(maxsize=256)
def _built(kernel: Kernel, target: Target) -> Any:
    module = tvm.IRModule({"main": kernel.prim_func.with_attr("global_symbol", "main")})
    return tvm.compile(module, target=tvm.target.Target(target.tvm_dict()))["main"]


def run(
    kernel: Kernel,
    target: Target,
    inputs: Sequence[F32],
    out_shape: Sequence[int],
    *,
    misalign: Sequence[int] = (),
    finite: bool = True,
) -> F32:
    """Runs a kernel; asserts that it writes all of its output, finite, and nothing else.

    Args:
        kernel: the kernel.
        target: an instruction set of this machine.
        inputs: every parameter but the output.
        out_shape: shape of the output.
        misalign: bytes by which each tensor's address, output last, misses a 64-byte border.
        finite: whether the inputs are, and so must be the output.
    """
    values = [*inputs, np.full(out_shape, np.nan, np.float32)]
    shifts = [*misalign, *[0] * (len(values) - len(misalign))]
    tensors = [Poisoned(value, shift) for value, shift in zip(values, shifts, strict=True)]
    views = [tvm_ffi.from_dlpack(tensor.view, require_alignment=4) for tensor in tensors]
    _built(kernel, target)(*views)
    for tensor, value in zip(tensors[:-1], inputs, strict=True):
        assert np.array_equal(tensor.view, value, equal_nan=True), "an input was written"
    assert all(tensor.surroundings_untouched() for tensor in tensors), "written out of bounds"
    result: F32 = tensors[-1].view
    assert not finite or np.isfinite(result).all(), "output is incomplete, or reads beyond an input"
    return result


def assert_close(actual: F32, expected: F64, terms: int) -> None:
    """Within the rounding of a float32 sum of ``terms`` products of values around one."""
    assert actual.shape == expected.shape
    tolerance = 4e-7 * (1.0 + np.sqrt(terms))
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    worst = float(np.abs(actual - expected).max(initial=0.0))
    assert worst <= tolerance * scale, f"off by {worst:.3e}, allowed {tolerance * scale:.3e}"
