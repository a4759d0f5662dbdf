"""Convolutions by windows of one row and of one column."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["Flattened", "asymmetric_convolution", "flattened_convolution"]


class Flattened(nn.Sequential):
    """``y = horizontal1xK(vertical Kx1(lateral1x1(x)))``: a window as a product of three vectors.

    ``y[n, o, h, w] = b[o] + sum over s of c[o, s] sum over r of v[o, r] sum over i of a[o, i]
    x[n, i, h + r - p, w + s - p]`` with ``p = (K - 1) / 2``; where a vector would reach outside,
    its input is 0. It costs ``C + 2 K`` multiply-accumulates an output, not ``C K K``.

    Source: Jin et al., "Flattened Convolutional Neural Networks for Feedforward Acceleration",
    2014, arXiv:1412.5474, section 3.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: elements of the vertical and of the horizontal vector; odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        along, wide = kernel // 2, out_channels
        super().__init__(
            OrderedDict(
                lateral=nn.Conv2d(in_channels, wide, 1, bias=False),
                vertical=nn.Conv2d(
                    wide, wide, (kernel, 1), padding=(along, 0), groups=wide, bias=False
                ),
                horizontal=nn.Conv2d(wide, wide, (1, kernel), padding=(0, along), groups=wide),
            )
        )


def flattened_convolution() -> Flattened:
    """From 9 channels to 13, by vectors of 5."""
    return Flattened(9, 13, 5)


def asymmetric_convolution() -> nn.Sequential:
    """``y = conv7x1(relu(conv1x7(x)))``, each over all channels: 14 elements seen for the 49.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
    arXiv:1512.00567, section 3.2.

    Shapes:
        x: float32[N, 6, H, W]; y: float32[N, 8, H, W].
    """
    return nn.Sequential(
        OrderedDict(
            row=nn.Conv2d(6, 7, (1, 7), padding=(0, 3)),
            activation=nn.ReLU(),
            column=nn.Conv2d(7, 8, (7, 1), padding=(3, 0)),
        )
    )
