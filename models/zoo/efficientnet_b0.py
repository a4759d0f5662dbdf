"""EfficientNet-B0.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
arXiv:1905.11946, table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, PooledHead, SqueezedResidual

__all__ = ["build"]

#: Expansion (the 6 of MBConv6), kernel, stride of the first, channels and layers of each stage.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
#: Squeeze and excitation has a quarter of the channels that a block is given.
SQUEEZE_FACTOR = 4


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 5,288,548 parameters."""
    channels = 32
    blocks: list[nn.Module] = []
    for expansion, kernel, first_stride, width, repeats in STAGES:
        for index in range(repeats):
            blocks.append(
                SqueezedResidual(
                    channels,
                    expansion * channels,
                    width,
                    kernel,
                    stride=first_stride if index == 0 else 1,
                    squeezed=channels // SQUEEZE_FACTOR,
                )
            )
            channels = width
    return nn.Sequential(
        OrderedDict(
            stem=ConvBatchNorm(3, 32, 3, stride=2, activation=nn.SiLU),
            blocks=nn.Sequential(*blocks),
            last=ConvBatchNorm(channels, 1280, 1, activation=nn.SiLU),
            head=PooledHead(1280, 1000, dropout=0.2),
        )
    )
