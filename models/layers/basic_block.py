"""Basic residual block of ResNet-18 and ResNet-34."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["BasicBlock"]


class BasicBlock(nn.Module):
    """``y = relu(bn(conv3x3(relu(bn(conv3x3(x))))) + shortcut(x))``.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385,
    figure 2 and equation 1. The shortcut is the identity where shapes agree, else a batch
    normalised 1x1 convolution (option B of section 3.3).

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        stride: step of the first convolution, and of the shortcut's.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            OrderedDict(
                first=ConvBatchNorm(in_channels, out_channels, 3, stride=stride),
                second=ConvBatchNorm(out_channels, out_channels, 3, activation=None),
            )
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = ConvBatchNorm(
                in_channels, out_channels, 1, stride=stride, activation=None
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        return torch.relu(self.branch(x) + self.shortcut(x))
