"""Max pooling that stores where the largest elements were, and unpooling that puts them back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = [
    "LocatedMaxPooling",
    "MaxUnpooling",
    "OverlappingPoolUnpool",
    "PoolUnpool",
    "max_unpooling",
    "overlapping_max_unpooling",
]


class LocatedMaxPooling(nn.Module):
    """``y = max`` of windows that do not overlap, and where in its window each was found.

    A location is ``r kernel + s`` for row ``r`` and column ``s`` of the window, the first one where
    several are equal: two bits for a window of 2x2, all that a decoder has to remember. Rows and
    columns behind the last whole window are left out.

    Source: Badrinarayanan et al., "SegNet", 2015, arXiv:1511.00561, section 3.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, C, floor(H / kernel), floor(W / kernel)];
        locations: int64, as ``y``.

    Args:
        kernel: rows and columns of the window, and its step.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``x`` to ``y`` and ``locations``, shapes as in the class."""
        batch, channels, height, width = x.shape
        kernel, rows, columns = self.kernel, height // self.kernel, width // self.kernel
        whole = x[:, :, : rows * kernel, : columns * kernel]
        windows = whole.reshape(batch, channels, rows, kernel, columns, kernel).transpose(3, 4)
        windows = windows.reshape(batch, channels, rows, columns, kernel * kernel)
        return windows.amax(dim=4), windows.argmax(dim=4)


class MaxUnpooling(nn.Module):
    """``y`` is 0 but for the elements of ``x``, each where ``locations`` says in its window.

    Source: Zeiler et al., "Adaptive Deconvolutional Networks for Mid and High Level Feature
    Learning", 2011; as a decoder: Badrinarayanan et al., "SegNet", 2015, arXiv:1511.00561,
    section 3 and figure 3.

    Shapes:
        x: float32[N, C, H, W]; locations: int64, as ``x``;
        y: float32[N, C, kernel H, kernel W].

    Args:
        kernel: rows and columns of the window, and its step.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor, locations: Tensor) -> Tensor:
        """Maps ``x`` and ``locations`` to ``y``, shapes as in the class."""
        batch, channels, rows, columns = x.shape
        kernel = self.kernel
        here = locations.unsqueeze(4) == torch.arange(kernel * kernel, device=x.device)
        windows = torch.where(here, x.unsqueeze(4), torch.zeros_like(x).unsqueeze(4))
        windows = windows.reshape(batch, channels, rows, columns, kernel, kernel).transpose(3, 4)
        return windows.reshape(batch, channels, rows * kernel, columns * kernel)


class PoolUnpool(nn.Module):
    """``pooled, locations = pool(x)`` and ``y = unpool(pooled, locations)``.

    Shapes:
        x: float32[N, C, H, W]; pooled: float32[N, C, floor(H / kernel), floor(W / kernel)];
        locations: int64, as ``pooled``; y: float32, as the part of ``x`` with whole windows.

    Args:
        kernel: rows and columns of the window, and its step.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.pool = LocatedMaxPooling(kernel)
        self.unpool = MaxUnpooling(kernel)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps ``x`` to ``pooled``, ``locations`` and ``y``, shapes as in the class."""
        pooled, locations = self.pool(x)
        return pooled, locations, self.unpool(pooled, locations)


class OverlappingPoolUnpool(nn.Module):
    """Pools windows that overlap; ``y`` is 0 but for the elements of ``x`` that were the largest.

    Here a location is ``h W + w``, a place of the image: an element that is the largest of several
    windows is put back once.

    Source: Zeiler et al., "Adaptive Deconvolutional Networks for Mid and High Level Feature
    Learning", 2011, "switches" of 2-d pooling.

    Shapes:
        x, y: float32[N, C, H, W];
        pooled: float32[N, C, OH, OW], ``OH = floor((H - kernel) / stride) + 1``;
        locations: int64, as ``pooled``.

    Args:
        kernel: rows and columns of the window.
        stride: step of the window.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(kernel, stride, return_indices=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps ``x`` to ``pooled``, ``locations`` and ``y``, shapes as in the class."""
        batch, channels, height, width = x.shape
        pooled, locations = self.pool(x)
        empty = torch.zeros_like(x).reshape(batch, channels, height * width)
        y = empty.scatter(2, locations.flatten(2), pooled.flatten(2))
        return pooled, locations, y.reshape(batch, channels, height, width)


def max_unpooling() -> PoolUnpool:
    """Windows of 2x2."""
    return PoolUnpool(2)


def overlapping_max_unpooling() -> OverlappingPoolUnpool:
    """Windows of 3x3, 2 apart."""
    return OverlappingPoolUnpool(3, 2)
