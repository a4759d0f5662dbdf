"""Deconvolution module of DSSD: coarse features refine fine ones."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["DeconvolutionModule"]


class DeconvolutionModule(nn.Module):
    """``y = relu(bn(conv3x3(deconv2x2(coarse))) * bn(conv3x3(relu(bn(conv3x3(fine))))))``.

    Source: Fu et al., "DSSD: Deconvolutional Single Shot Detector", 2017, arXiv:1701.06659,
    figure 3. ``deconv2x2`` is a transposed convolution of 2x2 with stride 2 and a bias; the product
    is by elements.

    Shapes:
        coarse: float32[N, coarse_channels, H, W]; fine: float32[N, fine_channels, 2 H, 2 W];
        y: float32[N, out_channels, 2 H, 2 W].

    Args:
        coarse_channels: channels of ``coarse``.
        fine_channels: channels of ``fine``.
        out_channels: channels of ``y``.
    """

    def __init__(self, coarse_channels: int, fine_channels: int, out_channels: int) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(
            OrderedDict(
                deconv=nn.ConvTranspose2d(coarse_channels, out_channels, 2, stride=2),
                conv=ConvBatchNorm(out_channels, out_channels, 3, activation=None),
            )
        )
        self.refine = nn.Sequential(
            OrderedDict(
                first=ConvBatchNorm(fine_channels, out_channels, 3),
                second=ConvBatchNorm(out_channels, out_channels, 3, activation=None),
            )
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Maps ``coarse`` and ``fine`` to ``y``, shapes as in the class."""
        return torch.relu(self.enlarge(coarse) * self.refine(fine))
