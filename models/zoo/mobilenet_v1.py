"""MobileNetV1, width 1.0, resolution 224.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam, "MobileNets: Efficient
Convolutional Neural Networks for Mobile Vision Applications", 2017, arXiv:1704.04861, table 1.
(The table's last depthwise layer says stride 2 and keeps 7x7; stride 1 is what does that.)
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, DepthwiseSeparable, PooledHead

__all__ = ["build"]

#: Output channels and stride of each depthwise separable convolution.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 4,231,976 parameters."""
    channels = 32
    blocks: list[nn.Module] = []
    for width, stride in BLOCKS:
        blocks.append(DepthwiseSeparable(channels, width, stride=stride))
        channels = width
    return nn.Sequential(
        OrderedDict(
            stem=ConvBatchNorm(3, 32, 3, stride=2),
            blocks=nn.Sequential(*blocks),
            head=PooledHead(channels, 1000),
        )
    )
