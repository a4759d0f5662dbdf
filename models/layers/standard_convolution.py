"""Standard convolution: every output channel sees every input channel."""

from __future__ import annotations

from torch import nn

__all__ = ["standard_convolution"]


def standard_convolution() -> nn.Conv2d:
    """``y[n, o, h, w] = b[o] + sum over i, r, s of x[n, i, h + r - 1, w + s - 1] k[o, i, r, s]``.

    The sum is over 12 channels and a 3x3 window; outside the image ``x`` is 0. It costs
    ``H W O I R S`` multiply-accumulates.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
    arXiv:1603.07285.

    Shapes:
        x: float32[N, 12, H, W]; y: float32[N, 20, H, W].
    """
    return nn.Conv2d(12, 20, 3, padding=1)
