"""Direct, im2col, FFT and Winograd convolutions of one shape, side by side on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from kernel_timing import F32, conv_call, interleaved, peak_function, plain

from edgewright.schedules.cpu import conv2d_direct, conv2d_fft, conv2d_im2col, conv2d_winograd
from edgewright.schedules.kernel import Kernel, Limits, Offer
from edgewright.schedules.select import select_conv2d
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import Target

__all__ = [
    "CHANNELS",
    "KERNELS",
    "MAPS",
    "MAX_GMACS",
    "METHODS",
    "MethodRow",
    "compare_methods",
    "format_comparison",
    "relative_error",
]

#: Families by the name that ``--conv-algorithm`` has for them.
METHODS = {
    "direct": conv2d_direct,
    "im2col": conv2d_im2col,
    "fft": conv2d_fft,
    "winograd": conv2d_winograd,
}
CHANNELS = (16, 64)
KERNELS = (3, 5, 7, 11, 15, 31)
MAPS = (7, 14, 28, 56, 112)
#: Larger convolutions take seconds for one call.
MAX_GMACS = 60.0
#: Output channels that are compared with float64.
CHECKED_CHANNELS = 8


@dataclass(frozen=True)
class MethodRow:
    """One method on one convolution; times are CPU time.

    Attributes:
        method: direct, im2col, fft or winograd.
        channels, kernel, map: of the convolution: input and output channels, extents.
        median_us: of one call; None where the method declined.
        share_of_peak: multiplications of the direct method, by those of the core's peak.
        scratch_bytes: scratch memory of one thread.
        weight_bytes: packed weights.
        error: largest error against float64, as a share of the largest output.
        chosen: whether the cost model would choose the method.
        name: the kernel's name, or why there is none.
    """

    method: str
    channels: int
    kernel: int
    map: int
    median_us: float | None
    share_of_peak: float | None
    scratch_bytes: int | None
    weight_bytes: int | None
    error: float | None
    chosen: bool
    name: str


@cache
def _peak(target: Target) -> tuple[Callable[[], None], int]:
    return peak_function(target)


def compare_methods(w: Conv2dWorkload, target: Target, rounds: int) -> list[MethodRow]:
    """All methods on one convolution, whose calls take turns with each other and the peak's."""
    chosen = select_conv2d(w, target).kernel
    calls: dict[str, Callable[[], None]] = {}
    facts: dict[str, tuple[Kernel, int, float]] = {}
    declined: dict[str, str] = {}
    for method, family in METHODS.items():
        answer = family.offer(w, target, Limits(), "blocked")
        if not isinstance(answer, Offer):  # what is offered only where it is asked for
            answer = family.offer(w, target, Limits(method), "blocked")
        if not isinstance(answer, Offer):
            declined[method] = answer.reason
            continue
        kernel = answer.build()
        call, out, tensors = conv_call(kernel, w, target)
        call()
        assert kernel.pack_weights is not None
        size = kernel.pack_weights(tensors[1]).nbytes
        error = relative_error(w, plain(out.numpy(), w.out_channels), tensors)
        calls[method], facts[method] = call, (kernel, size, error)
    peak, operations = _peak(target)
    seconds = interleaved({**calls, "peak": peak}, rounds)
    rate = operations / seconds["peak"]
    rows = []
    for method in METHODS:
        shape = (method, w.in_channels, w.kernel_h, w.in_h)
        if method in declined:
            rows.append(MethodRow(*shape, None, None, None, None, None, False, declined[method]))
            continue
        kernel, size, error = facts[method]
        took = seconds[method]
        rows.append(
            MethodRow(
                *shape,
                median_us=took * 1e6,
                share_of_peak=2 * w.macs / took / rate,
                scratch_bytes=kernel.scratch_bytes,
                weight_bytes=size,
                error=error,
                chosen=chosen is not None and chosen.algorithm == method,
                name=kernel.name,
            )
        )
    return rows


def relative_error(w: Conv2dWorkload, y: F32, tensors: tuple[F32, F32, F32]) -> float:
    """Largest error of a stride-1 convolution and its bias, as a share of its largest output.

    The reference is computed in float64 by numpy's FFT, whose own error is 1e-15 of the largest
    output; a few output channels, spread over all, are compared.
    """
    x, weights, bias = tensors
    some = np.linspace(0, w.out_channels - 1, min(CHECKED_CHANNELS, w.out_channels)).astype(int)
    shape = (w.in_h + w.kernel_h - 1, w.in_w + w.kernel_w - 1)
    inputs = np.fft.rfft2(x[0].astype(np.float64), shape)
    worst, largest = 0.0, 0.0
    for out in some:
        turned = weights[out, :, ::-1, ::-1].astype(np.float64)
        products = (inputs * np.fft.rfft2(turned, shape)).sum(axis=0)
        full: npt.NDArray[np.float64] = np.fft.irfft2(products, shape)
        top, left = w.kernel_h - 1 - w.pad_top, w.kernel_w - 1 - w.pad_left
        expected = full[top : top + w.out_h, left : left + w.out_w] + float(bias[out])
        worst = max(worst, float(np.abs(y[0, out] - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
    return worst / largest


def format_comparison(w: Conv2dWorkload, rows: list[MethodRow]) -> str:
    """A line for each method; the chosen one has a star."""
    lines = [f"{w.in_channels} channels, {w.kernel_h}x{w.kernel_w} @{w.in_h}: {w.macs / 1e6:.1f}M"]
    for row in rows:
        if row.median_us is None:
            lines.append(f"  {row.method:9} {row.name}")
            continue
        values: list[Any] = [row.share_of_peak, row.median_us, row.scratch_bytes]
        lines.append(
            f"{'*' if row.chosen else ' '} {row.method:9} {values[0]:8.0%} {values[1]:10.1f} µs "
            f"scratch {values[2] / 1024:6.0f} KiB  weights {(row.weight_bytes or 0) / 1024:8.0f} "
            f"KiB  error {row.error:.1e}  {row.name.split('__')[0]}"
        )
    return "\n".join(lines)
