"""Convolution along the channel axis, of ChannelNets."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ChannelWise", "channel_wise_convolution"]


class ChannelWise(nn.Module):
    """``y[n, g C / G + c, h, w] = b[g] + sum over r of x[n, G c + r - p, h, w] k[g, r]``.

    A group channel-wise convolution: each of ``G`` short kernels slides along the channels in
    steps of ``G`` and gives ``C / G`` channels; they are put behind each other. ``p`` centres the
    kernel, and a channel that does not exist is 0. The weights are ``G K``, where a 1x1 convolution
    has ``C C``; with one group it is the paper's plain channel-wise convolution.

    Source: Gao et al., "ChannelNets: Compact and Efficient Convolutional Neural Networks via
    Channel-Wise Convolutions", 2018, arXiv:1809.01330, sections 3.1 and 3.2.

    Shapes:
        x, y: float32[N, channels, H, W].

    Args:
        channels: channels of ``x`` and of ``y``; ``groups`` divides them.
        kernel: channels that an output sees; ``kernel - groups`` is even and not negative.
        groups: kernels, and their step.

    Raises:
        ValueError: ``groups`` does not divide the channels, or the kernel cannot be centred.
    """

    def __init__(self, channels: int, kernel: int, groups: int) -> None:
        super().__init__()
        if channels % groups:
            raise ValueError(f"{channels} channels are not divided by {groups} groups")
        if kernel < groups or (kernel - groups) % 2:
            raise ValueError(f"{kernel} channels cannot be centred on a step of {groups}")
        # The channels are rows, and each place of the image is a column of its own.
        self.conv = nn.Conv2d(
            1, groups, (kernel, 1), stride=(groups, 1), padding=((kernel - groups) // 2, 0)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        batch, channels, height, width = x.shape
        y: Tensor = self.conv(x.reshape(batch, 1, channels, height * width))
        return y.reshape(batch, channels, height, width)


def channel_wise_convolution() -> ChannelWise:
    """Over 24 channels in 3 groups, each output from 9 of them."""
    return ChannelWise(24, 9, 3)
