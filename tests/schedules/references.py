"""What kernels must compute, in float64 and by the definition of the operator."""

from __future__ import annotations

import numpy as np
import torch

from edgewright.schedules.cpu.pool2d import LOWEST
from edgewright.schedules.workload import (
    Conv2dTransposedWorkload,
    Conv2dWorkload,
    Pool2dWorkload,
)
from tests.schedules.execution import F32, F64, activated


def conv2d(w: Conv2dWorkload, x: F32, weights: F32, bias: F32, residual: F32) -> F64:
    """PyTorch's convolution in float64, then the epilogue."""
    padded = torch.nn.functional.pad(
        torch.tensor(x).double(), (w.pad_left, w.pad_right, w.pad_top, w.pad_bottom)
    )
    sums = torch.nn.functional.conv2d(
        padded,
        torch.tensor(weights).double(),
        torch.tensor(bias).double() if w.epilogue.bias else None,
        stride=(w.stride_h, w.stride_w),
        dilation=(w.dilation_h, w.dilation_w),
        groups=w.groups,
    ).numpy()
    if w.epilogue.residual:
        sums = sums + residual
    return activated(sums, w.epilogue.activation)


def conv2d_transposed(
    w: Conv2dTransposedWorkload, x: F32, weights: F32, bias: F32, residual: F32
) -> F64:
    """PyTorch's transposed convolution in float64 without paddings, cut, then the epilogue."""
    whole = torch.nn.functional.conv_transpose2d(
        torch.tensor(x).double(),
        torch.tensor(weights).double(),
        torch.tensor(bias).double() if w.epilogue.bias else None,
        stride=(w.stride_h, w.stride_w),
        dilation=(w.dilation_h, w.dilation_w),
        groups=w.groups,
    ).numpy()
    fill = bias if w.epilogue.bias else np.zeros_like(bias)
    reach = (w.pad_top + w.out_h, w.pad_left + w.out_w)
    sums = np.broadcast_to(
        fill.reshape(1, -1, 1, 1).astype(np.float64),
        (*whole.shape[:2], max(reach[0], whole.shape[2]), max(reach[1], whole.shape[3])),
    ).copy()
    sums[:, :, : whole.shape[2], : whole.shape[3]] = whole
    sums = sums[:, :, w.pad_top : reach[0], w.pad_left : reach[1]]
    if w.epilogue.residual:
        sums = sums + residual
    return activated(sums, w.epilogue.activation)


def pool2d(w: Pool2dWorkload, x: F32) -> F64:
    """ONNX's MaxPool and AveragePool, window by window."""
    out = np.empty((w.batch, w.channels, w.out_h, w.out_w))
    for oh in range(w.out_h):
        rows = [oh * w.stride_h + k * w.dilation_h - w.pad_top for k in range(w.kernel_h)]
        for ow in range(w.out_w):
            columns = [ow * w.stride_w + k * w.dilation_w - w.pad_left for k in range(w.kernel_w)]
            inside = [(r, c) for r in rows for c in columns if 0 <= r < w.in_h and 0 <= c < w.in_w]
            values = np.array([x[:, :, r, c] for r, c in inside], np.float64)
            if w.kind == "max":
                out[:, :, oh, ow] = values.max(axis=0) if inside else LOWEST
                continue
            count = len(inside)
            if w.count_include_pad:
                padded_rows = sum(1 for r in rows if r < w.in_h + w.pad_bottom)
                count = padded_rows * sum(1 for c in columns if c < w.in_w + w.pad_right)
            out[:, :, oh, ow] = values.sum(axis=0) / count if inside else 0.0
    return out
