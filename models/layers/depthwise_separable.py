"""Depthwise separable convolution of MobileNetV1."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["DepthwiseSeparable"]


class DepthwiseSeparable(nn.Sequential):
    """``y = relu(bn(conv1x1(relu(bn(depthwise3x3(x))))))``.

    Source: Howard et al., "MobileNets", 2017, arXiv:1704.04861, figure 3 (right). It costs
    ``OH OW in_channels (9 + out_channels)`` multiply-accumulates, where the full convolution costs
    ``9 OH OW in_channels out_channels``.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        stride: step of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__(
            OrderedDict(
                depthwise=ConvBatchNorm(
                    in_channels, in_channels, 3, stride=stride, groups=in_channels
                ),
                pointwise=ConvBatchNorm(in_channels, out_channels, 1),
            )
        )
