"""Network in Network, for the 32x32 images of CIFAR-10.

Lin, Chen and Yan, "Network In Network", 2013, arXiv:1312.4400, figure 2 and section 4.2; channels
are those of the authors' model (github.com/mavenlin/cuda-convnet, NIN/cifar-10_def).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import MlpConv

__all__ = ["build"]


def build() -> nn.Module:
    """float32[N, 3, 32, 32] to float32[N, 10]; 966,986 parameters."""
    return nn.Sequential(
        OrderedDict(
            mlpconv1=MlpConv(3, (192, 160, 96), 5),
            pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),
            dropout1=nn.Dropout(0.5),
            mlpconv2=MlpConv(96, (192, 192, 192), 5),
            pool2=nn.AvgPool2d(3, stride=2, ceil_mode=True),
            dropout2=nn.Dropout(0.5),
            mlpconv3=MlpConv(192, (192, 192, 10), 3),
            pool3=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )
