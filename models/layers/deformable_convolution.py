"""Deformable convolution, versions 1 and 2: where a window looks depends on the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

__all__ = ["Deformable", "deformable_convolution", "modulated_deformable_convolution"]


class Deformable(nn.Module):
    """``y[n, o, h, w] = b[o] + sum over i, t of m[n, t, h, w] x(n, i, h', w') k[o, i, t]``.

    ``h' = h + r(t) + d[n, 2 t, h, w]`` and ``w' = w + s(t) + d[n, 2 t + 1, h, w]``: tap ``t`` of
    the window, ``r`` rows and ``s`` columns from its centre, is moved by offsets ``d`` that a
    convolution of the same window makes of ``x``. Between elements ``x`` is interpolated linearly
    in both directions, outside the image it is 0. The modulation ``m`` is 1 in version 1; in
    version 2 it is the sigmoid of that convolution's further channels.

    Source: Dai et al., "Deformable Convolutional Networks", 2017, arXiv:1703.06211, equations 2
    to 4; version 2: Zhu et al., "Deformable ConvNets v2", 2018, arXiv:1811.11168, section 3.2.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W]; ``H, W > 1``.

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: rows and columns of the window; odd.
        modulated: version 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, *, modulated: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.modulated = kernel, modulated
        taps = kernel * kernel
        told = 3 * taps if modulated else 2 * taps
        self.offsets = nn.Conv2d(in_channels, told, kernel, padding=kernel // 2)
        # Over what the taps see: its channel ``i taps + t`` is tap ``t`` of channel ``i`` of ``x``.
        self.mix = nn.Conv2d(in_channels * taps, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        batch, channels, height, width = x.shape
        taps = self.kernel * self.kernel
        told = self.offsets(x)
        seen = self._sample(x, told[:, 0 : 2 * taps : 2], told[:, 1 : 2 * taps : 2])
        if self.modulated:
            modulation = torch.sigmoid(told[:, 2 * taps :])
            seen = seen * modulation.reshape(batch, 1, taps, height, width)
        y: Tensor = self.mix(seen.reshape(batch, channels * taps, height, width))
        return y

    def _sample(self, x: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """What each tap sees: float32[N, C, taps, H, W] for moves of float32[N, taps, H, W]."""
        batch, channels, height, width = x.shape
        taps, reach = self.kernel * self.kernel, self.kernel // 2
        steps = torch.arange(self.kernel) - reach
        rows = steps.reshape(-1, 1, 1, 1) + torch.arange(height).reshape(-1, 1)
        columns = steps.reshape(-1, 1, 1) + torch.arange(width)
        row = down.reshape(batch, self.kernel, self.kernel, height, width) + rows
        column = right.reshape(batch, self.kernel, self.kernel, height, width) + columns
        # The grid goes from -1 in the middle of the first element to 1 in that of the last.
        grid = torch.stack((2.0 / (width - 1) * column - 1.0, 2.0 / (height - 1) * row - 1.0), -1)
        seen = grid_sample(x, grid.reshape(batch, taps * height, width, 2), align_corners=True)
        return seen.reshape(batch, channels, taps, height, width)


def deformable_convolution() -> Deformable:
    """From 5 channels to 7, a window of 3x3, version 1."""
    return Deformable(5, 7)


def modulated_deformable_convolution() -> Deformable:
    """From 6 channels to 8, a window of 3x3, version 2."""
    return Deformable(6, 8, modulated=True)
