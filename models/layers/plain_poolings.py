"""Poolings that give one number for each window: the largest, smallest, mean or l2 norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

__all__ = [
    "L2Pooling",
    "MinPooling",
    "average_pooling",
    "global_average_pooling",
    "global_max_pooling",
    "l2_pooling",
    "max_pooling",
    "min_pooling",
]


class MinPooling(nn.Module):
    """``y[n, c, h, w] = min over r, s of x[n, c, stride h + r, stride w + s]``.

    The smallest number is the largest of their negatives, negated: operator sets have a maximum
    over windows, and no minimum.

    Source: Serra, "Image Analysis and Mathematical Morphology", 1982: erosion by a flat window.

    Shapes:
        x: float32[N, C, H, W];
        y: float32[N, C, OH, OW], ``OH = floor((H - kernel) / stride) + 1``.

    Args:
        kernel: rows and columns of the window.
        stride: step of the window.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        y: Tensor = -self.pool(-x)
        return y


class L2Pooling(nn.Module):
    """``y[n, c, h, w] = sqrt(sum over r, s of x[n, c, stride h + r, stride w + s]**2)``.

    Source: Sermanet et al., "Convolutional Neural Networks Applied to House Numbers Digit
    Classification", 2012, arXiv:1204.3968, section 2, with equal weights and p = 2.

    Shapes:
        x: float32[N, C, H, W];
        y: float32[N, C, OH, OW], ``OH = floor((H - kernel) / stride) + 1``.

    Args:
        kernel: rows and columns of the window.
        stride: step of the window.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        means = avg_pool2d(x * x, self.kernel, self.stride)
        return torch.sqrt(means * (self.kernel * self.kernel))


def max_pooling() -> nn.MaxPool2d:
    """``y[n, c, h, w] = max over r, s of x[n, c, 2 h + r - 1, 2 w + s - 1]``, a window of 3x3.

    Elements outside the image are left out. The extents are rounded up: the last window may end
    outside.

    Source: Ranzato et al., "Unsupervised Learning of Invariant Feature Hierarchies with
    Applications to Object Recognition", 2007.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, C, ceil((H - 1) / 2) + 1, ceil((W - 1) / 2) + 1].
    """
    return nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)


def min_pooling() -> MinPooling:
    """Windows of 3x3, 2 apart."""
    return MinPooling(3, 2)


def average_pooling() -> nn.AvgPool2d:
    """``y[n, c, h, w]`` is the mean over r, s of ``x[n, c, 2 h + r - 1, w + s - 1]``.

    A window of 3x3 that steps by 2 rows and 1 column; elements outside the image are neither added
    nor counted.

    Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998,
    section II.B, without its trained scale.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, C, ceil(H / 2), W].
    """
    return nn.AvgPool2d(3, stride=(2, 1), padding=1, count_include_pad=False)


def l2_pooling() -> L2Pooling:
    """Windows of 3x3, 2 apart."""
    return L2Pooling(3, 2)


def global_average_pooling() -> nn.AdaptiveAvgPool2d:
    """``y[n, c, 0, 0]`` is the mean of ``x[n, c]``.

    Source: Lin et al., "Network in Network", 2013, arXiv:1312.4400, section 3.2.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, C, 1, 1].
    """
    return nn.AdaptiveAvgPool2d(1)


def global_max_pooling() -> nn.AdaptiveMaxPool2d:
    """``y[n, c, 0, 0]`` is the largest element of ``x[n, c]``.

    Source: Oquab et al., "Is Object Localization for Free?", 2015.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, C, 1, 1].
    """
    return nn.AdaptiveMaxPool2d(1)
