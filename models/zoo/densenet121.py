"""DenseNet-121.

Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2016,
arXiv:1608.06993, table 1 (DenseNet-121, k = 32), with compression to a half (DenseNet-BC).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, DenseLayer, PooledHead, PreActivationConv

__all__ = ["build"]

#: Layers of each dense block.
BLOCKS = (6, 12, 24, 16)
#: Channels that every layer adds.
GROWTH = 32


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 7,978,856 parameters."""
    channels = 2 * GROWTH
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, channels, 7, stride=2),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    for number, repeats in enumerate(BLOCKS, start=1):
        layers = [DenseLayer(channels + index * GROWTH, GROWTH) for index in range(repeats)]
        parts[f"block{number}"] = nn.Sequential(*layers)
        channels += repeats * GROWTH
        if number < len(BLOCKS):
            parts[f"transition{number}"] = PreActivationConv(channels, channels // 2, 1)
            parts[f"pool{number}"] = nn.AvgPool2d(2)
            channels //= 2
    parts["norm"] = nn.BatchNorm2d(channels)
    parts["activation"] = nn.ReLU()
    parts["head"] = PooledHead(channels, 1000)
    return nn.Sequential(parts)
