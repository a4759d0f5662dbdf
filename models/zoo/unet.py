"""U-Net, a quarter as wide as the paper's, for images of 128x128.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
2015, arXiv:1505.04597, figure 1.

It departs from the paper in two places: the first level has 16 channels, not 64; and convolutions
are padded, as is usual today, so that nothing is cropped and every pixel of the image is labelled.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

__all__ = ["build"]

#: Channels of each level; every level has half the size of the one before.
LEVEL_CHANNELS = (16, 32, 64, 128, 256)
CLASSES = 2


class _UNet(nn.Module):
    """Contracts level by level, expands again, and joins equal levels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        sources = (in_channels, *LEVEL_CHANNELS)
        self.contract = nn.ModuleList(
            _two_convs(source, width)
            for source, width in zip(sources, LEVEL_CHANNELS, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        rising = LEVEL_CHANNELS[-2::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in rising)
        self.expand = nn.ModuleList(_two_convs(2 * width, width) for width in rising)
        self.last = nn.Conv2d(LEVEL_CHANNELS[0], CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, in_channels, H, W] to float32[N, CLASSES, H, W]; 16 divides H and W."""
        levels = []
        for index, convs in enumerate(self.contract):
            x = convs(x if index == 0 else self.pool(x))
            levels.append(x)
        for level, up, convs in zip(levels[-2::-1], self.up, self.expand, strict=True):
            x = convs(torch.cat((level, up(x)), dim=1))
        y: Tensor = self.last(x)
        return y


def _two_convs(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, out_channels, 3, padding=1),
            activation1=nn.ReLU(),
            conv2=nn.Conv2d(out_channels, out_channels, 3, padding=1),
            activation2=nn.ReLU(),
        )
    )


def build() -> nn.Module:
    """float32[N, 1, 128, 128] to float32[N, 2, 128, 128]; 1,940,834 parameters."""
    return _UNet(1)
