"""Prediction module of DSSD: classes and boxes from one map of features."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm

__all__ = ["DetectionHead"]


class DetectionHead(nn.Module):
    """``h = relu(residual(x) + shortcut(x)); logits = conv3x3(h); boxes = conv3x3(h)``.

    Source: Fu et al., "DSSD: Deconvolutional Single Shot Detector", 2017, arXiv:1701.06659,
    figure 2 (c). ``residual`` is 1x1, 1x1, 1x1 with ReLU between them, ``shortcut`` 1x1; all are
    batch normalised.

    Shapes:
        x: float32[N, in_channels, H, W]; h: float32[N, out_channels, H, W];
        logits: float32[N, H W anchors, classes]; boxes: float32[N, H W anchors, 4], offsets of
        centre, width and height; row ``(h W + w) anchors + a`` is anchor a of place (h, w).

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``h``; a quarter of them are within ``residual``.
        anchors: boxes that are judged at each place.
        classes: classes of each, with the background.

    Attributes:
        INNER_FACTOR: the 4 of the quarter.
    """

    INNER_FACTOR = 4

    def __init__(self, in_channels: int, out_channels: int, anchors: int, classes: int) -> None:
        super().__init__()
        inner = out_channels // self.INNER_FACTOR
        self.residual = nn.Sequential(
            OrderedDict(
                reduce=ConvBatchNorm(in_channels, inner, 1),
                conv=ConvBatchNorm(inner, inner, 1),
                expand=ConvBatchNorm(inner, out_channels, 1, activation=None),
            )
        )
        self.shortcut = ConvBatchNorm(in_channels, out_channels, 1, activation=None)
        self.classify = nn.Conv2d(out_channels, anchors * classes, 3, padding=1)
        self.locate = nn.Conv2d(out_channels, anchors * 4, 3, padding=1)
        self.anchors, self.classes = anchors, classes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``x`` to ``logits`` and ``boxes``, shapes as in the class."""
        batch, _, height, width = x.shape
        rows = height * width * self.anchors
        h = torch.relu(self.residual(x) + self.shortcut(x))
        logits = self.classify(h).permute(0, 2, 3, 1).reshape(batch, rows, self.classes)
        boxes = self.locate(h).permute(0, 2, 3, 1).reshape(batch, rows, 4)
        return logits, boxes
