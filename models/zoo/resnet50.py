"""ResNet-50, version 1.5.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385,
table 1 (50-layer), with projection shortcuts where the shape changes (option B). Version 1.5, which
is what everybody trains, has the stride in the 3x3 convolution of a stage's first block.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import Bottleneck, ConvBatchNorm, PooledHead

__all__ = ["build"]

#: Inner channels and blocks of conv2_x to conv5_x; every stage but the first halves the size.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 25,557,032 parameters."""
    channels = 64
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, channels, 7, stride=2),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    for number, (width, repeats) in enumerate(STAGES, start=2):
        blocks: list[nn.Module] = []
        for index in range(repeats):
            stride = 2 if index == 0 and number != 2 else 1
            blocks.append(Bottleneck(channels, width, stride=stride))
            channels = Bottleneck.EXPANSION * width
        parts[f"conv{number}"] = nn.Sequential(*blocks)
    parts["head"] = PooledHead(channels, 1000)
    return nn.Sequential(parts)
