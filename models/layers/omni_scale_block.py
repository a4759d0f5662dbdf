"""Omni-scale residual block of OSNet."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.squeeze_excitation import SqueezeExcitation

__all__ = ["OmniScaleBlock"]


class OmniScaleBlock(nn.Module):
    """``y = relu(shortcut(x) + expand(sum over t = 1..4 of gate(lite_t(reduce(x)))))``.

    Source: Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", 2019,
    arXiv:1905.00953, figure 4 (b) and equations 2 to 4. ``lite_t`` is a chain of t lite
    convolutions, each ``relu(bn(depthwise3x3(conv1x1(.))))``, so that it sees ``2 t + 1`` elements
    a side; the one ``gate``, squeeze and excitation, is shared by all four. ``reduce`` and
    ``expand`` are batch normalised 1x1 convolutions, as is ``shortcut`` where channels differ.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``; a quarter of them are between the two.

    Attributes:
        INNER_FACTOR: the 4 of the quarter.
        SCALES: the 4 of the sum.
        GATE_FACTOR: channels of a chain over those within the gate.
    """

    INNER_FACTOR = 4
    SCALES = 4
    GATE_FACTOR = 16

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = out_channels // self.INNER_FACTOR
        self.reduce = ConvBatchNorm(in_channels, inner, 1)
        self.chains = nn.ModuleList(
            nn.Sequential(*(_lite(inner) for _ in range(length)))
            for length in range(1, self.SCALES + 1)
        )
        self.gate = SqueezeExcitation(inner, inner // self.GATE_FACTOR)
        self.expand = ConvBatchNorm(inner, out_channels, 1, activation=None)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = ConvBatchNorm(in_channels, out_channels, 1, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        reduced = self.reduce(x)
        first, *others = (self.gate(chain(reduced)) for chain in self.chains)
        for other in others:
            first = first + other
        return torch.relu(self.shortcut(x) + self.expand(first))


def _lite(channels: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            pointwise=nn.Conv2d(channels, channels, 1, bias=False),
            depthwise=ConvBatchNorm(channels, channels, 3, groups=channels),
        )
    )
