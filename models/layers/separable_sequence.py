"""Convolutions over sequences that keep channels apart: depthwise separable, and lightweight."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "LightweightConvolution",
    "SeparableSequenceConvolution",
    "lightweight_convolution",
    "separable_sequence_convolution",
]


class SeparableSequenceConvolution(nn.Module):
    """``y = LayerNorm(P (D relu(x)))``: a depthwise convolution ``D``, then a 1x1 one, ``P``.

    Source: Kaiser et al., "Depthwise Separable Convolutions for Neural Machine Translation", 2017,
    arXiv:1706.03059, section 3.1 ("SliceNet").

    Shapes:
        x: float32[N, C, T]; y: float32[N, O, T].

    Args:
        channels: ``C``.
        out_channels: ``O``.
        kernel: taps of ``D``, odd.
        dilation: elements between taps.
    """

    def __init__(self, channels: int, out_channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            channels,
            channels,
            kernel,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )
        self.pointwise = nn.Conv1d(channels, out_channels, 1)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        mixed = self.pointwise(self.depthwise(functional.relu(x)))
        normed: Tensor = self.norm(mixed.transpose(1, 2))
        return normed.transpose(1, 2)


class LightweightConvolution(nn.Module):
    """``y[c, t] = sum over k of softmax(w[h])[k] x[c, t + k - K / 2]``; ``h``: the head of ``c``.

    The taps of a head are weights of a mean, and the channels of a head share them.

    Source: Wu et al., "Pay Less Attention with Lightweight and Dynamic Convolutions", 2019,
    arXiv:1901.10430, section 3.

    Shapes:
        x: float32[N, C, T]; y: float32[N, C, T].

    Args:
        channels: ``C``, a multiple of ``heads``.
        heads: ``H``.
        kernel: ``K``, odd.
    """

    def __init__(self, channels: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.channels = channels
        self.taps = nn.Parameter(torch.empty(heads, 1, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        heads, _, kernel = self.taps.shape
        shared = self.taps.softmax(dim=2).repeat_interleave(self.channels // heads, dim=0)
        return functional.conv1d(x, shared, padding=kernel // 2, groups=self.channels)


def separable_sequence_convolution() -> SeparableSequenceConvolution:
    """20 to 28 channels, 5 taps 2 elements apart."""
    return SeparableSequenceConvolution(20, 28, 5, dilation=2)


def lightweight_convolution() -> LightweightConvolution:
    """24 channels in 4 heads, 5 taps."""
    return LightweightConvolution(24, 4, 5)
