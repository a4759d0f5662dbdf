"""Unit of ShuffleNetV2: split, transform, concatenate, shuffle."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.pointwise_grouped_convolution import shuffle_channels

__all__ = ["ShuffleUnit"]


class ShuffleUnit(nn.Module):
    """``y = shuffle(concat(keep, transform(pass_on)))`` with ``keep, pass_on = split(x)``.

    Source: Ma et al., "ShuffleNet V2", 2018, arXiv:1807.11164, figure 3 (c), and with a stride
    figure 3 (d): ``y = shuffle(concat(shortcut(x), transform(x)))``, nothing split.
    ``transform`` is 1x1 with ReLU, linear depthwise 3x3, 1x1 with ReLU; ``shortcut`` is linear
    depthwise 3x3, 1x1 with ReLU; all batch normalised. ``shuffle`` takes the channels of the two
    halves in turn: channel ``2 i + j`` of ``y`` is channel ``i`` of half ``j``.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``; even.
        stride: step of the depthwise convolutions; 1 keeps half of ``x``, 2 transforms it all.

    Raises:
        ValueError: ``out_channels`` is odd, or a stride of 1 meets unequal channels.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        if out_channels % 2:
            raise ValueError(f"{out_channels} channels have no halves")
        if stride == 1 and in_channels != out_channels:
            raise ValueError(
                f"a stride of 1 keeps the {in_channels} channels, it cannot make {out_channels}"
            )
        self.half_channels = half = out_channels // 2
        self.splits_input = stride == 1
        passed_on = half if self.splits_input else in_channels
        self.transform = nn.Sequential(
            OrderedDict(
                first=ConvBatchNorm(passed_on, half, 1),
                depthwise=ConvBatchNorm(half, half, 3, stride=stride, groups=half, activation=None),
                last=ConvBatchNorm(half, half, 1),
            )
        )
        self.shortcut: nn.Module = nn.Identity()
        if not self.splits_input:
            self.shortcut = nn.Sequential(
                OrderedDict(
                    depthwise=ConvBatchNorm(
                        in_channels,
                        in_channels,
                        3,
                        stride=stride,
                        groups=in_channels,
                        activation=None,
                    ),
                    pointwise=ConvBatchNorm(in_channels, half, 1),
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        half = self.half_channels
        keep, passed_on = torch.split(x, [half, half], dim=1) if self.splits_input else (x, x)
        y = torch.cat((self.shortcut(keep), self.transform(passed_on)), dim=1)
        return shuffle_channels(y, 2)
