"""Inverted residual with a linear bottleneck, of MobileNetV2."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["InvertedResidual"]


class InvertedResidual(nn.Module):
    """``y = x + project(depthwise(expand(x)))``, or without ``x +`` where the shapes differ.

    Source: Sandler et al., "MobileNetV2", 2018, arXiv:1801.04381, table 1 and figure 4. ``expand``
    is 1x1 to ``expansion * in_channels`` channels with ReLU6, left out where ``expansion`` is 1;
    ``depthwise`` is 3x3 with ReLU6; ``project`` is 1x1 and linear. All are batch normalised.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        stride: step of the depthwise convolution; a step of 1 and equal channels add ``x``.
        dilation: distance between neighbouring taps of the depthwise convolution.
        expansion: factor ``t`` of the paper.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        expansion: int = 6,
    ) -> None:
        super().__init__()
        hidden = expansion * in_channels
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion != 1:
            parts["expand"] = ConvBatchNorm(in_channels, hidden, 1, activation=nn.ReLU6)
        parts["depthwise"] = ConvBatchNorm(
            hidden,
            hidden,
            3,
            stride=stride,
            dilation=dilation,
            groups=hidden,
            activation=nn.ReLU6,
        )
        parts["project"] = ConvBatchNorm(hidden, out_channels, 1, activation=None)
        self.branch = nn.Sequential(parts)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        y: Tensor = self.branch(x)
        return x + y if self.adds_input else y
