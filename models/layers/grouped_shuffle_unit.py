"""Unit of ShuffleNetV1: grouped pointwise convolutions with a channel shuffle between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.pointwise_grouped_convolution import shuffle_channels

__all__ = ["GroupedShuffleUnit"]


class GroupedShuffleUnit(nn.Module):
    """``y = relu(x + expand(depthwise(shuffle(reduce(x)))))``.

    Source: Zhang et al., "ShuffleNet", 2017, arXiv:1707.01083, figure 2 (b), and with a stride of 2
    figure 2 (c): ``y = relu(concat(avgpool3x3(x), expand(...)))``. ``reduce`` and ``expand`` are
    grouped 1x1 convolutions, with ReLU behind the first only; ``depthwise`` is 3x3 and linear. All
    are batch normalised; between them are ``out_channels / 4`` channels.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``; ``groups`` divides a quarter of them.
        groups: groups of the 1x1 convolutions.
        stride: step of the depthwise convolution, 1 or 2; 1 needs equal channels.
        first_groups: groups of ``reduce`` where not ``groups``: the paper has no groups where the
            first stage begins, because its 24 channels are few; 0 for ``groups``.

    Attributes:
        INNER_FACTOR: the 4 above.

    Raises:
        ValueError: a stride of 1 meets unequal channels.
    """

    INNER_FACTOR = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        groups: int,
        stride: int = 1,
        first_groups: int = 0,
    ) -> None:
        super().__init__()
        if stride == 1 and in_channels != out_channels:
            raise ValueError(
                f"a stride of 1 adds the {in_channels} channels, it cannot make {out_channels}"
            )
        self.groups, self.stride = groups, stride
        inner = out_channels // self.INNER_FACTOR
        added = out_channels if stride == 1 else out_channels - in_channels
        self.reduce = ConvBatchNorm(in_channels, inner, 1, groups=first_groups or groups)
        self.depthwise = ConvBatchNorm(
            inner, inner, 3, stride=stride, groups=inner, activation=None
        )
        self.expand = ConvBatchNorm(inner, added, 1, groups=groups, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        branch = self.expand(self.depthwise(shuffle_channels(self.reduce(x), self.groups)))
        if self.stride == 1:
            return torch.relu(x + branch)
        return torch.relu(torch.cat((avg_pool2d(x, 3, stride=2, padding=1), branch), dim=1))
