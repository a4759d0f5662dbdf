"""Layer of DenseNet, which hands on all that came before it."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.pre_activation_conv import PreActivationConv

__all__ = ["DenseLayer"]


class DenseLayer(nn.Module):
    """``y = concat(x, conv3x3(relu(bn(conv1x1(relu(bn(x)))))))`` over channels.

    Source: Huang et al., "Densely Connected Convolutional Networks", 2016, arXiv:1608.06993,
    section 3 (bottleneck layers, DenseNet-B). The 1x1 convolution gives 4 growth channels.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, in_channels + growth, H, W].

    Args:
        in_channels: channels of ``x``.
        growth: channels that the layer adds, the paper's k.

    Attributes:
        INNER_FACTOR: the 4 above.
    """

    INNER_FACTOR = 4

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        inner = self.INNER_FACTOR * growth
        self.branch = nn.Sequential(
            OrderedDict(
                bottleneck=PreActivationConv(in_channels, inner, 1),
                conv=PreActivationConv(inner, growth, 3),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        return torch.cat((x, self.branch(x)), dim=1)
