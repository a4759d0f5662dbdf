"""Irregular convolution: every kernel has a shape of its own, fixed once it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = ["Irregular", "irregular_convolution"]


class Irregular(nn.Module):
    """``y[n, o, h, w] = b[o] + sum over i, t of x(n, i, h + r[o, t], w + s[o, t]) k[o, i, t]``.

    The 9 taps of output channel ``o`` lie at trained places between the elements, ``r`` rows and
    ``s`` columns from the centre: those of a 3x3 window plus ``moves``, but at most ``reach`` away.
    Between elements ``x`` is interpolated linearly in both directions, outside the image it is 0.

    That sum is linear in ``x`` and the same everywhere, so it is an ordinary convolution by a
    window of ``2 reach + 1``, over whose elements each tap is spread as it is interpolated. The
    spreading depends on weights only: a compiler does it once.

    Source: Ma et al., "Irregular Convolutional Neural Networks", 2017, arXiv:1706.07966,
    section 3, with one shape for each output channel.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        reach: how far a tap may lie from the centre.
    """

    def __init__(self, in_channels: int, out_channels: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.taps = nn.Parameter(torch.empty(out_channels, in_channels, 9))
        self.moves = nn.Parameter(torch.empty(out_channels * 9, 2))
        self.bias = nn.Parameter(torch.empty(out_channels))
        steps = torch.arange(-1.0, 2.0)
        window = torch.cartesian_prod(steps, steps)
        self.register_buffer("window", window)
        self.register_buffer("elements", torch.arange(-float(reach), reach + 1.0))

    def places(self) -> Tensor:
        """Where the taps lie: float32[out_channels, 9, 2], rows and columns from the centre."""
        moved = self.moves.reshape(-1, 9, 2) + self.get_buffer("window")
        return moved.clamp(-float(self.reach), float(self.reach))

    def dense_kernel(self) -> Tensor:
        """The taps spread over a window: float32[O, I, 2 reach + 1, 2 reach + 1]."""
        distance = self.places().unsqueeze(3) - self.get_buffer("elements")
        rows, columns = torch.relu(1.0 - distance.abs()).unbind(2)
        spread = rows.unsqueeze(3) * columns.unsqueeze(2)
        return (self.taps[:, :, :, None, None] * spread.unsqueeze(1)).sum(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        return conv2d(x, self.dense_kernel(), self.bias, padding=self.reach)


def irregular_convolution() -> Irregular:
    """From 5 channels to 8, taps at most 2 away."""
    return Irregular(5, 8, 2)
