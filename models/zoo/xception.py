"""Xception.

Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2016, arXiv:1610.02357,
figure 5.
"""

from __future__ import annotations

import functools
from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, PooledHead, SeparableConv, XceptionBlock

__all__ = ["build"]

#: Of the batch normalisations, as in the author's model.
EPSILON = 1e-3
#: Blocks of the middle flow.
MIDDLE_BLOCKS = 8

_Block = functools.partial(XceptionBlock, epsilon=EPSILON)


def build() -> nn.Module:
    """float32[N, 3, 299, 299] to float32[N, 1000]; 22,855,952 parameters."""
    entry = (
        ConvBatchNorm(3, 32, 3, stride=2, padded=False, epsilon=EPSILON),
        ConvBatchNorm(32, 64, 3, padded=False, epsilon=EPSILON),
        _Block(64, (128, 128), starts_active=False),
        _Block(128, (256, 256)),
        _Block(256, (728, 728)),
    )
    middle = [_Block(728, (728, 728, 728), halves=False) for _ in range(MIDDLE_BLOCKS)]
    final = (
        _Block(728, (728, 1024)),
        SeparableConv(1024, 1536, epsilon=EPSILON),
        SeparableConv(1536, 2048, epsilon=EPSILON),
    )
    return nn.Sequential(
        OrderedDict(
            entry=nn.Sequential(*entry),
            middle=nn.Sequential(*middle),
            exit=nn.Sequential(*final),
            head=PooledHead(2048, 1000, dropout=0.5),
        )
    )
