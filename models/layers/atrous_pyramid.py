"""Atrous spatial pyramid pooling of DeepLab."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["AtrousPyramid"]


class AtrousPyramid(nn.Module):
    """``y = project(concat(conv1x1(x), dilated3x3_r(x) for each rate r, conv1x1(mean_hw(x))))``.

    Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
    arXiv:1706.05587, section 3.3 and figure 5. All convolutions are batch normalised, with ReLU;
    ``project`` is 1x1; the mean, an image of 1x1, is repeated to the size of ``x``. A rate sees
    ``2 r + 1`` elements a side for the cost of 9.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of every branch and of ``y``.
        rates: dilations of the 3x3 branches.
    """

    def __init__(self, in_channels: int, out_channels: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.single = ConvBatchNorm(in_channels, out_channels, 1)
        self.dilated = nn.ModuleList(
            ConvBatchNorm(in_channels, out_channels, 3, dilation=rate) for rate in rates
        )
        self.image = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1), conv=ConvBatchNorm(in_channels, out_channels, 1)
            )
        )
        self.project = ConvBatchNorm((len(rates) + 2) * out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        image = self.image(x).expand(-1, -1, x.shape[2], x.shape[3])
        branches = [self.single(x), *(branch(x) for branch in self.dilated), image]
        y: Tensor = self.project(torch.cat(branches, dim=1))
        return y
