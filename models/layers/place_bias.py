"""A bias for every place of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PlaceBias"]


class PlaceBias(nn.Module):
    """``y[n, i] = x[n, i] + b[i]`` over all elements i of an image, in row-major order.

    Source: Silver et al., "Mastering the game of Go with deep neural networks and tree search",
    Nature 529, 2016, Methods ("1 filter of kernel size 1x1 with a different bias for each
    position").

    Shapes:
        x: float32[N, C, H, W] with ``C H W = elements``; y: float32[N, elements];
        b: float32[elements].

    Args:
        elements: elements of one image.
    """

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(elements))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        return x.flatten(1) + self.bias
