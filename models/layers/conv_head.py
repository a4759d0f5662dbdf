"""Classifier of SqueezeNet."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["ConvHead"]


class ConvHead(nn.Sequential):
    """``logits = mean_hw(relu(conv1x1(x)))``: one map a class, each averaged. No logit is negative.

    Source: Iandola et al., "SqueezeNet", 2016, arXiv:1602.07360, table 1 (conv10, avgpool10).

    Shapes:
        x: float32[N, channels, H, W]; logits: float32[N, classes].

    Args:
        channels: channels of ``x``.
        classes: number of logits.
        dropout: probability that training drops an element of ``x``; nothing in inference.
    """

    def __init__(self, channels: int, classes: int, *, dropout: float = 0.0) -> None:
        super().__init__(
            OrderedDict(
                dropout=nn.Dropout(dropout),
                conv=nn.Conv2d(channels, classes, 1),
                activation=nn.ReLU(),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )
