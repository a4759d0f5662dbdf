"""OSNet, width 1.0: tells whether two photographs show the same person.

Zhou, Yang, Cavallaro and Xiang, "Omni-Scale Feature Learning for Person Re-Identification", 2019,
arXiv:1905.00953, table 1. It gives the features that are compared; the classifier is of training
only.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, OmniScaleBlock

__all__ = ["build"]

#: Channels of conv2 to conv4; the size is halved between them.
STAGE_CHANNELS = (256, 384, 512)
FEATURES = 512


def build() -> nn.Module:
    """float32[N, 3, 256, 128] to float32[N, 512]; 2,169,508 parameters."""
    channels = 64
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, channels, 7, stride=2),
        pool1=nn.MaxPool2d(3, stride=2, padding=1),
    )
    for number, width in enumerate(STAGE_CHANNELS, start=2):
        parts[f"conv{number}"] = nn.Sequential(
            OmniScaleBlock(channels, width), OmniScaleBlock(width, width)
        )
        channels = width
        if width != STAGE_CHANNELS[-1]:
            parts[f"transition{number}"] = ConvBatchNorm(channels, channels, 1)
            parts[f"pool{number}"] = nn.AvgPool2d(2)
    parts["conv5"] = ConvBatchNorm(channels, channels, 1)
    parts["pool5"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["linear"] = nn.Linear(channels, FEATURES)
    parts["norm"] = nn.BatchNorm1d(FEATURES)
    parts["activation"] = nn.ReLU()
    return nn.Sequential(parts)
