"""MobileNetV3-Large, width 1.0, resolution 224.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le and Adam, "Searching for
MobileNetV3", 2019, arXiv:1905.02244, table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, SqueezedResidual

__all__ = ["build"]

#: Kernel, exp size, #out, SE's inner channels (a quarter, in steps of 8; 0: none), NL, s.
BLOCKS: tuple[tuple[int, int, int, int, type[nn.Module], int], ...] = (
    (3, 16, 16, 0, nn.ReLU, 1),
    (3, 64, 24, 0, nn.ReLU, 2),
    (3, 72, 24, 0, nn.ReLU, 1),
    (5, 72, 40, 24, nn.ReLU, 2),
    (5, 120, 40, 32, nn.ReLU, 1),
    (5, 120, 40, 32, nn.ReLU, 1),
    (3, 240, 80, 0, nn.Hardswish, 2),
    (3, 200, 80, 0, nn.Hardswish, 1),
    (3, 184, 80, 0, nn.Hardswish, 1),
    (3, 184, 80, 0, nn.Hardswish, 1),
    (3, 480, 112, 120, nn.Hardswish, 1),
    (3, 672, 112, 168, nn.Hardswish, 1),
    (5, 672, 160, 168, nn.Hardswish, 2),
    (5, 960, 160, 240, nn.Hardswish, 1),
    (5, 960, 160, 240, nn.Hardswish, 1),
)
#: Of the batch normalisations.
EPSILON = 1e-3


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 5,483,032 parameters."""
    channels = 16
    blocks: list[nn.Module] = []
    for kernel, hidden, width, squeezed, activation, stride in BLOCKS:
        blocks.append(
            SqueezedResidual(
                channels,
                hidden,
                width,
                kernel,
                stride=stride,
                squeezed=squeezed,
                activation=activation,
                squeeze_activation=nn.ReLU,
                gate=nn.Hardsigmoid,
                epsilon=EPSILON,
            )
        )
        channels = width
    head = OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear1=nn.Linear(960, 1280),
        activation=nn.Hardswish(),
        dropout=nn.Dropout(0.2),
        linear2=nn.Linear(1280, 1000),
    )
    return nn.Sequential(
        OrderedDict(
            stem=ConvBatchNorm(3, 16, 3, stride=2, activation=nn.Hardswish, epsilon=EPSILON),
            blocks=nn.Sequential(*blocks),
            last=ConvBatchNorm(channels, 960, 1, activation=nn.Hardswish, epsilon=EPSILON),
            head=nn.Sequential(head),
        )
    )
