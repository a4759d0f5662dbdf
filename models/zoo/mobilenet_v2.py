"""MobileNetV2, width 1.0, resolution 224.

Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
2018, arXiv:1801.04381, table 2.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, InvertedResidual, PooledHead

__all__ = ["build"]

#: The paper's t, c, n, s: expansion, output channels, repetitions, stride of the first.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 3,504,872 parameters."""
    channels = 32
    blocks: list[nn.Module] = []
    for expansion, width, repeats, first_stride in STAGES:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            blocks.append(InvertedResidual(channels, width, stride=stride, expansion=expansion))
            channels = width
    return nn.Sequential(
        OrderedDict(
            stem=ConvBatchNorm(3, 32, 3, stride=2, activation=nn.ReLU6),
            blocks=nn.Sequential(*blocks),
            last=ConvBatchNorm(channels, 1280, 1, activation=nn.ReLU6),
            head=PooledHead(1280, 1000, dropout=0.2),
        )
    )
