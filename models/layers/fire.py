"""Fire module of SqueezeNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Fire"]


class Fire(nn.Module):
    """``s = relu(squeeze1x1(x)); y = concat(relu(expand1x1(s)), relu(expand3x3(s)))``.

    Source: Iandola et al., "SqueezeNet", 2016, arXiv:1602.07360, section 3.2 and figure 1. The
    convolutions have a bias and no batch normalisation; the concatenation is over channels.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, expand1x1 + expand3x3, H, W].

    Args:
        in_channels: channels of ``x``.
        squeeze: channels of ``s``.
        expand1x1: channels of the 1x1 half of ``y``.
        expand3x3: channels of the 3x3 half of ``y``.
    """

    def __init__(self, in_channels: int, squeeze: int, expand1x1: int, expand3x3: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        squeezed = torch.relu(self.squeeze(x))
        halves = torch.relu(self.expand1x1(squeezed)), torch.relu(self.expand3x3(squeezed))
        return torch.cat(halves, dim=1)
