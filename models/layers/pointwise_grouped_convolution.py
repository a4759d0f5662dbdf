"""Pointwise convolutions in groups with a channel shuffle: the core of a ShuffleNetV1 unit."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["PointwiseGrouped", "pointwise_grouped_convolution", "shuffle_channels"]


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Channel ``i groups + g`` of ``y`` is channel ``i`` of group ``g`` of ``x``.

    Shapes:
        x, y: float32[N, C, H, W]; ``groups`` divides ``C``.
    """
    batch, channels, height, width = x.shape
    # Extents written out: unflatten and flatten would leave shape arithmetic in an export.
    y = x.reshape(batch, groups, channels // groups, height, width).transpose(1, 2)
    return y.reshape(batch, channels, height, width)


class PointwiseGrouped(nn.Module):
    """``y = expand(depthwise3x3(shuffle(relu(reduce(x)))))``; two 1x1 convolutions in groups.

    Without the shuffle, an output would see the input channels of its own group only; with it,
    every group of ``expand`` reads from every group of ``reduce``. A group costs
    ``C O / groups`` multiply-accumulates an element, in place of ``C O``.

    Source: Zhang et al., "ShuffleNet", 2017, arXiv:1707.01083, figures 1 (c) and 2 (b), without
    batch normalisation and shortcut.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        channels: channels between the two; ``groups`` divides all three.
        out_channels: channels of ``y``.
        groups: groups of both pointwise convolutions.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.reduce = nn.Conv2d(in_channels, channels, 1, groups=groups)
        self.activation = nn.ReLU()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.expand = nn.Conv2d(channels, out_channels, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        mixed = shuffle_channels(self.activation(self.reduce(x)), self.groups)
        y: Tensor = self.expand(self.depthwise(mixed))
        return y


def pointwise_grouped_convolution() -> PointwiseGrouped:
    """From 15 channels over 12 to 21, in 3 groups."""
    return PointwiseGrouped(15, 12, 21, 3)
