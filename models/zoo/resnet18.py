"""ResNet-18.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385,
table 1 (18-layer), with projection shortcuts where the shape changes (option B).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import BasicBlock, ConvBatchNorm, PooledHead

__all__ = ["build"]

#: Channels of conv2_x to conv5_x; each stage has two blocks, and all but the first halve the size.
STAGE_CHANNELS = (64, 128, 256, 512)


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 11,689,512 parameters."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, STAGE_CHANNELS[0], 7, stride=2),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    channels = STAGE_CHANNELS[0]
    for number, width in enumerate(STAGE_CHANNELS, start=2):
        parts[f"conv{number}"] = nn.Sequential(
            BasicBlock(channels, width, stride=1 if number == 2 else 2),
            BasicBlock(width, width),
        )
        channels = width
    parts["head"] = PooledHead(channels, 1000)
    return nn.Sequential(parts)
