"""Separable convolution of Xception: nothing between its two halves."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["SeparableConv"]


class SeparableConv(nn.Sequential):
    """``y = activation(bn(conv1x1(depthwise3x3(x))))``.

    Source: Chollet, "Xception", 2016, arXiv:1610.02357, section 2 and figure 10: no activation and
    no normalisation between the two.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        epsilon: of the batch normalisation.
        activation: class of the activation, or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        epsilon: float = 1e-5,
        activation: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__(
            OrderedDict(
                depthwise=nn.Conv2d(
                    in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
                ),
                pointwise=ConvBatchNorm(
                    in_channels, out_channels, 1, epsilon=epsilon, activation=activation
                ),
            )
        )
