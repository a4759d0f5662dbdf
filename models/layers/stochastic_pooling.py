"""Stochastic pooling, in the form that inference uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

__all__ = ["StochasticPooling", "stochastic_pooling"]


class StochasticPooling(nn.Module):
    """``y = sum over i of p[i] a[i]`` with ``p[i] = a[i] / sum over j of a[j]``, for each window.

    Training draws one element ``i`` of a window with probability ``p[i]``; inference takes what
    the draw gives on average, which is ``sum of a**2 / sum of a``. The probabilities need
    ``a = relu(x)``; a window without a positive element gives 0.

    Source: Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep Convolutional Neural
    Networks", 2013, arXiv:1301.3557, section 3.

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
        active = torch.relu(x)
        # The window's size cancels out of the two means.
        squares = avg_pool2d(active * active, self.kernel, self.stride)
        mean = avg_pool2d(active, self.kernel, self.stride)
        return squares / torch.where(mean > 0, mean, torch.ones_like(mean))


def stochastic_pooling() -> StochasticPooling:
    """Windows of 3x3, 2 apart."""
    return StochasticPooling(3, 2)
