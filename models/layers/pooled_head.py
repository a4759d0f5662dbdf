"""Classifier of the residual and mobile networks."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["PooledHead"]


class PooledHead(nn.Sequential):
    """``logits = W mean_hw(x) + b``: global average pooling, then one linear layer.

    Source: Lin et al., "Network In Network", 2013, arXiv:1312.4400, section 3.2, with the linear
    layer of He et al., 2015, arXiv:1512.03385, section 3.3.

    Shapes:
        x: float32[N, channels, H, W]; logits: float32[N, classes];
        W: float32[classes, channels]; b: float32[classes].

    Args:
        channels: channels of ``x``.
        classes: number of logits.
        dropout: probability that training drops a pooled feature; nothing in inference.
    """

    def __init__(self, channels: int, classes: int, *, dropout: float = 0.0) -> None:
        super().__init__(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                linear=nn.Linear(channels, classes),
            )
        )
