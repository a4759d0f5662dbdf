"""Batch normalisation and activation in front of a convolution."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["PreActivationConv"]


class PreActivationConv(nn.Sequential):
    """``y = conv(relu(bn(x)))``, the convolution without a bias.

    Source: He et al., "Identity Mappings in Deep Residual Networks", 2016, arXiv:1603.05027,
    figure 4 (e); the order within DenseNet.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: height and width of the filter; odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            OrderedDict(
                norm=nn.BatchNorm2d(in_channels),
                activation=nn.ReLU(),
                conv=nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
            )
        )
