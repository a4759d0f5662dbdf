"""VGG-16, without batch normalisation.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014,
arXiv:1409.1556, table 1, configuration D.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import DenseHead

__all__ = ["build"]

#: Output channels of each 3x3 convolution; a 2x2 maximum pooling ends each group.
GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 138,357,544 parameters."""
    channels = 3
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for group, widths in enumerate(GROUPS, start=1):
        for index, width in enumerate(widths, start=1):
            features[f"conv{group}_{index}"] = nn.Conv2d(channels, width, 3, padding=1)
            features[f"activation{group}_{index}"] = nn.ReLU()
            channels = width
        features[f"pool{group}"] = nn.MaxPool2d(2)
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(features),
            head=DenseHead((channels * 7 * 7, 4096, 4096, 1000), dropout=0.5),
        )
    )
