"""GoogLeNet (Inception v1), with batch normalisation, without auxiliary classifiers.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going Deeper with
Convolutions", 2014, arXiv:1409.4842, table 1.

It departs from the paper in two places: every convolution is batch normalised, as is usual today,
which replaces the local response normalisation; and the two auxiliary classifiers, of training
only, are left out.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, Inception, PooledHead

__all__ = ["build"]

#: The table's #1x1, (#3x3 reduce, #3x3), (#5x5 reduce, #5x5), pool proj.
INCEPTIONS = {
    "inception3a": (64, (96, 128), (16, 32), 32),
    "inception3b": (128, (128, 192), (32, 96), 64),
    "inception4a": (192, (96, 208), (16, 48), 64),
    "inception4b": (160, (112, 224), (24, 64), 64),
    "inception4c": (128, (128, 256), (24, 64), 64),
    "inception4d": (112, (144, 288), (32, 64), 64),
    "inception4e": (256, (160, 320), (32, 128), 128),
    "inception5a": (256, (160, 320), (32, 128), 128),
    "inception5b": (384, (192, 384), (48, 128), 128),
}
#: Kernel of the wide convolutions; TensorFlow's and torchvision's weights have 3 here.
WIDE_KERNEL = 5


def _pool(kernel: int) -> nn.Module:
    # The sizes of the table are rounded up: 112 to 56 to 28 to 14 to 7.
    return nn.MaxPool2d(kernel, stride=2, ceil_mode=True)


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 7,005,832 parameters."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=ConvBatchNorm(3, 64, 7, stride=2),
        pool1=_pool(3),
        conv2_reduce=ConvBatchNorm(64, 64, 1),
        conv2=ConvBatchNorm(64, 192, 3),
        pool2=_pool(3),
    )
    channels = 192
    for name, (single, middle, wide, pooled) in INCEPTIONS.items():
        parts[name] = Inception(channels, single, middle, wide, pooled, wide_kernel=WIDE_KERNEL)
        channels = single + middle[1] + wide[1] + pooled
        if name == "inception3b":
            parts["pool3"] = _pool(3)
        elif name == "inception4e":
            parts["pool4"] = _pool(2)
    parts["head"] = PooledHead(channels, 1000, dropout=0.2)
    return nn.Sequential(parts)
