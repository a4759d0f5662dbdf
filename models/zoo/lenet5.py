"""LeNet-5.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, section II.B and figure 2.

As it is built today, it departs from the paper in four places: the 28x28 digits of MNIST are padded
to 32x32 by the first convolution; every map of C3 sees all of S2's (the paper's table I left some
out); S2 and S4 average without a trained coefficient and bias; the output is linear, not radial.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import DenseHead

__all__ = ["build"]


def build() -> nn.Module:
    """float32[N, 1, 28, 28] to float32[N, 10]; 61,706 parameters."""
    features = OrderedDict(
        c1=nn.Conv2d(1, 6, 5, padding=2),
        activation1=nn.Tanh(),
        s2=nn.AvgPool2d(2),
        c3=nn.Conv2d(6, 16, 5),
        activation3=nn.Tanh(),
        s4=nn.AvgPool2d(2),
    )
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(features),
            head=DenseHead((16 * 5 * 5, 120, 84, 10), activation=nn.Tanh),
        )
    )
