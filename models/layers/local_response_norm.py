"""Local response normalisation of AlexNet."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

__all__ = ["LocalResponseNorm"]


class LocalResponseNorm(nn.Module):
    """``y[c] = x[c] / (k + alpha * sum over |d| <= size / 2 of x[c + d]**2) ** beta``.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    NIPS 2012, section 3.3, whose numbers are the defaults. Channels outside of ``x`` count as 0.

    PyTorch's own layer divides ``alpha`` by ``size``; and it leaves an ``If`` in exported files.

    Shapes:
        x, y: float32[N, C, H, W].

    Args:
        size: channels of the sum; odd.
        alpha: weight of the sum.
        beta: exponent.
        k: what keeps the denominator from 0.

    Raises:
        ValueError: ``size`` is even, so that no channel is in the middle.
    """

    def __init__(
        self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
    ) -> None:
        super().__init__()
        if size % 2 == 0:
            raise ValueError(f"the size is {size}, but only odd ones have a middle")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        batch, channels, height, width = x.shape
        # Channels as rows of an image: a mean over rows, with the zeros outside, is a sum / size.
        squares = (x * x).reshape(batch, 1, channels, height * width)
        means = avg_pool2d(squares, (self.size, 1), stride=1, padding=(self.size // 2, 0))
        sums = self.size * means.reshape(batch, channels, height, width)
        return x / (self.k + self.alpha * sums) ** self.beta
