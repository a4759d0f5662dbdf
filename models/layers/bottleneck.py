"""Bottleneck residual block of ResNet-50, ResNet-101, ResNet-152 and of ResNeXt."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["Bottleneck"]


class Bottleneck(nn.Module):
    """``y = relu(expand1x1(relu(conv3x3(relu(reduce1x1(x))))) + shortcut(x))``.

    All convolutions are batch normalised.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385,
    figure 5 (right). The stride is in the 3x3 convolution, not in the first 1x1 as in the paper:
    that is "version 1.5", after Gross and Wilber, 2016, "Training and investigating residual nets".
    The shortcut is the identity where shapes agree, else a batch normalised 1x1 convolution
    (option B of section 3.3). With groups it is ResNeXt's block: Xie et al., "Aggregated Residual
    Transformations for Deep Neural Networks", 2016, arXiv:1611.05431, figure 3 (c).

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, 4 channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        channels: channels between the convolutions, where ``inner_channels`` says nothing else.
        inner_channels: channels between the convolutions; 0 for ``channels``.
        groups: groups of the 3x3 convolution.
        stride: step of the 3x3 convolution, and of the shortcut's.

    Attributes:
        EXPANSION: the 4 above.
    """

    EXPANSION = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        inner_channels: int = 0,
        groups: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        inner = inner_channels or channels
        out_channels = self.EXPANSION * channels
        self.branch = nn.Sequential(
            OrderedDict(
                reduce=ConvBatchNorm(in_channels, inner, 1),
                conv=ConvBatchNorm(inner, inner, 3, stride=stride, groups=groups),
                expand=ConvBatchNorm(inner, out_channels, 1, activation=None),
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
