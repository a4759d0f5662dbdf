"""AlexNet.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
NIPS 2012, figure 2 and section 3. The paper's two halves, one for each of two GPUs, are the groups
of conv2, conv4 and conv5; images are 227x227, which is what makes conv1 give 55x55.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import DenseHead, LocalResponseNorm

__all__ = ["build"]


def build() -> nn.Module:
    """float32[N, 3, 227, 227] to float32[N, 1000]; 60,965,224 parameters."""
    features = OrderedDict(
        conv1=nn.Conv2d(3, 96, 11, stride=4),
        activation1=nn.ReLU(),
        norm1=LocalResponseNorm(),
        pool1=nn.MaxPool2d(3, stride=2),
        conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
        activation2=nn.ReLU(),
        norm2=LocalResponseNorm(),
        pool2=nn.MaxPool2d(3, stride=2),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        activation3=nn.ReLU(),
        conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
        activation4=nn.ReLU(),
        conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
        activation5=nn.ReLU(),
        pool5=nn.MaxPool2d(3, stride=2),
    )
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(features),
            head=DenseHead((256 * 6 * 6, 4096, 4096, 1000), dropout=0.5),
        )
    )
