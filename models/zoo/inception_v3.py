"""Inception v3, without the auxiliary classifier, which is of training only.

Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer
Vision", 2015, arXiv:1512.00567, table 1 and figures 5 to 7 and 10. Channels are those of the
authors' model (github.com/tensorflow/models, inception_v3), where the paper does not tell them.
"""

from __future__ import annotations

import functools
from collections import OrderedDict

from torch import nn

from edgewright.models.layers import Branches, ConvBatchNorm, PooledHead

__all__ = ["build"]

_Conv = functools.partial(ConvBatchNorm, epsilon=1e-3)


def _pooled(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), _Conv(in_channels, out_channels, 1))


def _figure5(in_channels: int, pooled: int) -> nn.Module:
    """On 35x35: the 5x5 of one branch, and two 3x3 in place of a 5x5; 224 + ``pooled`` channels."""
    return Branches(
        single=_Conv(in_channels, 64, 1),
        wide=nn.Sequential(_Conv(in_channels, 48, 1), _Conv(48, 64, 5)),
        twice=nn.Sequential(_Conv(in_channels, 64, 1), _Conv(64, 96, 3), _Conv(96, 96, 3)),
        pooled=_pooled(in_channels, pooled),
    )


def _figure6(in_channels: int, inner: int) -> nn.Module:
    """On 17x17: 1x7 and 7x1 in place of 7x7; 768 channels."""
    once = (_Conv(in_channels, inner, 1), _Conv(inner, inner, (1, 7)), _Conv(inner, 192, (7, 1)))
    twice = (
        _Conv(in_channels, inner, 1),
        _Conv(inner, inner, (7, 1)),
        _Conv(inner, inner, (1, 7)),
        _Conv(inner, inner, (7, 1)),
        _Conv(inner, 192, (1, 7)),
    )
    return Branches(
        single=_Conv(in_channels, 192, 1),
        once=nn.Sequential(*once),
        twice=nn.Sequential(*twice),
        pooled=_pooled(in_channels, 192),
    )


def _figure7(in_channels: int) -> nn.Module:
    """On 8x8: 1x3 and 3x1 side by side; 2048 channels."""

    def sides(channels: int) -> nn.Module:
        return Branches(flat=_Conv(channels, 384, (1, 3)), tall=_Conv(channels, 384, (3, 1)))

    return Branches(
        single=_Conv(in_channels, 320, 1),
        once=nn.Sequential(_Conv(in_channels, 384, 1), sides(384)),
        twice=nn.Sequential(_Conv(in_channels, 448, 1), _Conv(448, 384, 3), sides(384)),
        pooled=_pooled(in_channels, 192),
    )


def _halve_35() -> nn.Module:
    """Figure 10, 288x35x35 to 768x17x17."""
    return Branches(
        once=_Conv(288, 384, 3, stride=2, padded=False),
        twice=nn.Sequential(
            _Conv(288, 64, 1), _Conv(64, 96, 3), _Conv(96, 96, 3, stride=2, padded=False)
        ),
        pooled=nn.MaxPool2d(3, stride=2),
    )


def _halve_17() -> nn.Module:
    """Figure 10, 768x17x17 to 1280x8x8."""
    return Branches(
        once=nn.Sequential(_Conv(768, 192, 1), _Conv(192, 320, 3, stride=2, padded=False)),
        wide=nn.Sequential(
            _Conv(768, 192, 1),
            _Conv(192, 192, (1, 7)),
            _Conv(192, 192, (7, 1)),
            _Conv(192, 192, 3, stride=2, padded=False),
        ),
        pooled=nn.MaxPool2d(3, stride=2),
    )


def build() -> nn.Module:
    """float32[N, 3, 299, 299] to float32[N, 1000]; 23,834,568 parameters."""
    stem = (
        _Conv(3, 32, 3, stride=2, padded=False),
        _Conv(32, 32, 3, padded=False),
        _Conv(32, 64, 3),
        nn.MaxPool2d(3, stride=2),
        _Conv(64, 80, 1),
        _Conv(80, 192, 3, padded=False),
        nn.MaxPool2d(3, stride=2),
    )
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(*stem),
            grid35=nn.Sequential(_figure5(192, 32), _figure5(256, 64), _figure5(288, 64)),
            halve35=_halve_35(),
            grid17=nn.Sequential(*(_figure6(768, inner) for inner in (128, 160, 160, 192))),
            halve17=_halve_17(),
            grid8=nn.Sequential(_figure7(1280), _figure7(2048)),
            head=PooledHead(2048, 1000, dropout=0.5),
        )
    )
