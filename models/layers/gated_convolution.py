"""Gated convolution over a sequence, the block of convolutional sequence models."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GatedConvolution", "gated_convolution"]


class GatedConvolution(nn.Module):
    """``y = sqrt(1/2) (x + a * s(b))``, ``a, b`` the halves of a convolution of ``x``.

    ``s`` is the logistic function. A causal block, as in a decoder, sees the present element and
    the ``K - 1`` before it; another sees ``(K - 1) / 2`` on both sides.

    Source: Gehring et al., "Convolutional Sequence to Sequence Learning", 2017, arXiv:1705.03122,
    section 3.2; the gated linear unit of Dauphin et al., 2016, arXiv:1612.08083.

    Shapes:
        x: float32[N, C, T]; y: float32[N, C, T].

    Args:
        channels: ``C``.
        kernel: ``K``, odd.
        causal: whether the future is hidden.
    """

    def __init__(self, channels: int, kernel: int, *, causal: bool) -> None:
        super().__init__()
        before = kernel - 1 if causal else kernel // 2
        self.padding = (before, kernel - 1 - before)
        self.convolution = nn.Conv1d(channels, 2 * channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        both = self.convolution(functional.pad(x, self.padding))
        value, gate = both.chunk(2, dim=1)
        gated: Tensor = value * torch.sigmoid(gate)
        return (x + gated) * math.sqrt(0.5)


def gated_convolution() -> GatedConvolution:
    """A causal block of 20 channels, 3 taps."""
    return GatedConvolution(20, 3, causal=True)
