"""Spatial pyramid pooling: as many features for every extent of the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["SpatialPyramidPooling", "spatial_pyramid_pooling"]


class SpatialPyramidPooling(nn.Module):
    """The largest element of each channel in each of ``n x n`` bins, for several ``n``.

    Bin ``i, j`` holds rows ``floor(i H / n)`` to ``ceil((i + 1) H / n)``, the last one not counted,
    and columns likewise. ``y`` has level behind level, in each channel behind channel, in each row
    behind row of bins.

    Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual
    Recognition", 2014, arXiv:1406.4729, figure 3; bins as in appendix A,
    "Implementation of Pooling Bins", which fit every extent.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, C times the sum of n n].

    Args:
        levels: bins along an axis, for each level.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        pooled = [_pool_axis(_pool_axis(x, bins, 2), bins, 3) for bins in self.levels]
        return torch.cat([level.flatten(1) for level in pooled], dim=1)


def _pool_axis(x: Tensor, bins: int, axis: int) -> Tensor:
    """The largest elements of the bins along one axis: its extent becomes ``bins``."""
    extent = x.shape[axis]
    # An end is rounded up without a negative number: exported, a division rounds towards zero.
    ends = [(i * extent // bins, ((i + 1) * extent + bins - 1) // bins) for i in range(bins)]
    parts = [x.narrow(axis, low, high - low).amax(dim=axis, keepdim=True) for low, high in ends]
    return torch.cat(parts, dim=axis)


def spatial_pyramid_pooling() -> SpatialPyramidPooling:
    """Levels of 4x4, 2x2 and 1x1 bins."""
    return SpatialPyramidPooling((4, 2, 1))
