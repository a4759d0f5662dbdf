"""Normalizations of one kind of mean: over the batch, a place, an image, a group or neighbours."""

from __future__ import annotations

from torch import nn

from edgewright.models.layers.local_response_norm import LocalResponseNorm

__all__ = [
    "batch_normalization",
    "group_normalization",
    "instance_normalization",
    "layer_normalization",
    "local_response_normalization",
]


def batch_normalization() -> nn.BatchNorm2d:
    """``y[n, c] = g[c] (x[n, c] - mean[c]) / sqrt(variance[c] + 1e-5) + b[c]``.

    Mean and variance are the running ones of training: a scale and a shift for each channel, which
    neighbouring convolutions take in.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167, algorithm 2.

    Shapes:
        x, y: float32[N, 13, H, W].
    """
    return nn.BatchNorm2d(13)


def layer_normalization() -> nn.LayerNorm:
    """``y[n, t, d] = g[d] (x[n, t, d] - mean[n, t]) / sqrt(variance[n, t] + 1e-5) + b[d]``.

    Mean and variance are over the features ``d`` of one place, at inference as in training.

    Source: Ba et al., "Layer Normalization", 2016, arXiv:1607.06450, equation 3.

    Shapes:
        x, y: float32[N, T, 21].
    """
    return nn.LayerNorm(21)


def instance_normalization() -> nn.InstanceNorm2d:
    """``y[n, c] = g[c] (x[n, c] - mean[n, c]) / sqrt(variance[n, c] + 1e-5) + b[c]``.

    Mean and variance are over one channel of one image.

    Source: Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization",
    2016, arXiv:1607.08022, section 2.

    Shapes:
        x, y: float32[N, 9, H, W].
    """
    return nn.InstanceNorm2d(9, affine=True)


def group_normalization() -> nn.GroupNorm:
    """``y[n, c] = g[c] (x[n, c] - mean[n, c // 4]) / sqrt(variance[n, c // 4] + 1e-5) + b[c]``.

    Mean and variance are over 4 channels of one image.

    Source: Wu and He, "Group Normalization", 2018, arXiv:1803.08494, section 3.1.

    Shapes:
        x, y: float32[N, 12, H, W].
    """
    return nn.GroupNorm(3, 12)


def local_response_normalization() -> LocalResponseNorm:
    """``y[c] = x[c] / (1 + 0.1 sum over |d| <= 2 of x[c + d]**2) ** 0.75``.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    2012, section 3.3. Its constants, made for unscaled activations, would change an input of
    variance 1 by one part in a thousand; these change it by half.

    Shapes:
        x, y: float32[N, C, H, W].
    """
    return LocalResponseNorm(5, alpha=0.1, beta=0.75, k=1.0)
