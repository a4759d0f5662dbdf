"""ResNeXt-50, 32x4d: 32 groups of 4 channels in the first stage.

Xie, Girshick, Dollar, Tu and He, "Aggregated Residual Transformations for Deep Neural Networks",
2016, arXiv:1611.05431, table 1 (right). As in ResNet-50 version 1.5, the stride is in the 3x3
convolution of a stage's first block.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import Bottleneck, ConvBatchNorm, PooledHead

__all__ = ["build"]

#: Channels, a quarter of a stage's output, and blocks of conv2 to conv5.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
GROUPS = 32
#: Channels between the convolutions are twice those of ResNet-50: 32 times 4 where it has 64.
INNER_FACTOR = 2


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 25,028,904 parameters."""
    channels = 64
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, channels, 7, stride=2),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    for number, (width, repeats) in enumerate(STAGES, start=2):
        blocks: list[nn.Module] = []
        for index in range(repeats):
            stride = 2 if index == 0 and number != 2 else 1
            inner = INNER_FACTOR * width
            blocks.append(
                Bottleneck(channels, width, inner_channels=inner, groups=GROUPS, stride=stride)
            )
            channels = Bottleneck.EXPANSION * width
        parts[f"conv{number}"] = nn.Sequential(*blocks)
    parts["head"] = PooledHead(channels, 1000)
    return nn.Sequential(parts)
