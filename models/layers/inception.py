"""Inception module of GoogLeNet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["Inception"]


class Inception(nn.Module):
    """``y = concat(conv1x1(x), conv3x3(reduce(x)), convKxK(reduce(x)), conv1x1(maxpool3x3(x)))``.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2014, arXiv:1409.4842, figure 2 (b),
    with the batch normalisation of Ioffe and Szegedy, 2015, arXiv:1502.03167, in each convolution
    and ReLU after each. ``reduce`` is a 1x1 convolution; the pooling has stride 1; the
    concatenation is over channels.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, single + middle[1] + wide[1] + pooled, H, W].

    Args:
        in_channels: channels of ``x``.
        single: channels of the 1x1 branch.
        middle: channels of the 3x3 branch, reduced and given out.
        wide: channels of the KxK branch, reduced and given out.
        pooled: channels that the pooling branch gives out.
        wide_kernel: K, 5 in the paper.
    """

    def __init__(
        self,
        in_channels: int,
        single: int,
        middle: Sequence[int],
        wide: Sequence[int],
        pooled: int,
        *,
        wide_kernel: int = 5,
    ) -> None:
        super().__init__()
        self.single = ConvBatchNorm(in_channels, single, 1)
        self.middle = _reduced(in_channels, middle, 3)
        self.wide = _reduced(in_channels, wide, wide_kernel)
        self.pooled = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool2d(3, stride=1, padding=1),
                project=ConvBatchNorm(in_channels, pooled, 1),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        return torch.cat((self.single(x), self.middle(x), self.wide(x), self.pooled(x)), dim=1)


def _reduced(in_channels: int, channels: Sequence[int], kernel: int) -> nn.Module:
    reduced, out = channels
    return nn.Sequential(
        OrderedDict(
            reduce=ConvBatchNorm(in_channels, reduced, 1),
            conv=ConvBatchNorm(reduced, out, kernel),
        )
    )
