"""SqueezeNet 1.1.

Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x
fewer parameters and <0.5MB model size", 2016, arXiv:1602.07360; version 1.1 is its authors'
revision (github.com/forresti/SqueezeNet, SqueezeNet_v1.1): a smaller first convolution and earlier
pooling, 2.4 times fewer operations.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvHead, Fire

__all__ = ["build"]


def _pool() -> nn.Module:
    # Caffe, which the network comes from, rounds the size up.
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 1,235,496 parameters."""
    features = OrderedDict(
        conv1=nn.Conv2d(3, 64, 3, stride=2),
        activation1=nn.ReLU(),
        pool1=_pool(),
        fire2=Fire(64, 16, 64, 64),
        fire3=Fire(128, 16, 64, 64),
        pool3=_pool(),
        fire4=Fire(128, 32, 128, 128),
        fire5=Fire(256, 32, 128, 128),
        pool5=_pool(),
        fire6=Fire(256, 48, 192, 192),
        fire7=Fire(384, 48, 192, 192),
        fire8=Fire(384, 64, 256, 256),
        fire9=Fire(512, 64, 256, 256),
    )
    return nn.Sequential(
        OrderedDict(features=nn.Sequential(features), head=ConvHead(512, 1000, dropout=0.5))
    )
