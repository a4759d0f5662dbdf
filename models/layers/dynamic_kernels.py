"""Convolutions whose kernels depend on the input: CondConv, DynamicConv and DyNet.

All three reduce an image to its channels' means, make coefficients of them, and mix stored kernels
into one kernel for that image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = [
    "ConditionalConvolution",
    "DyNetConvolution",
    "DynamicConvolution",
    "conditional_convolution",
    "convolve_each",
    "dynamic_convolution",
    "dynet_convolution",
]


def convolve_each(x: Tensor, kernels: Tensor) -> Tensor:
    """``y[n]`` is ``x[n]`` convolved by ``kernels[n]``, zeros keeping the extents.

    The images become groups of channels of a single one, so that any batch is one convolution.

    Shapes:
        x: float32[N, I, H, W]; kernels: float32[N, O, I, K, K], ``K`` odd; y: float32[N, O, H, W].
    """
    batch, channels, height, width = x.shape
    _, out_channels, _, kernel, _ = kernels.shape
    y = conv2d(
        x.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * out_channels, channels, kernel, kernel),
        padding=kernel // 2,
        groups=batch,
    )
    return y.reshape(batch, out_channels, height, width)


class ConditionalConvolution(nn.Module):
    """``y = x * (sum over e of r[e] k[e])`` with the routing ``r = sigmoid(R mean(x) + b)``.

    ``*`` is convolution, ``k[e]`` the kernel of expert ``e``, and ``mean`` that of each channel.

    Source: Yang et al., "CondConv: Conditionally Parameterized Convolutions for Efficient
    Inference", 2019, arXiv:1904.04971, section 3.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: rows and columns of the window; odd.
        experts: kernels that are mixed.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, experts: int) -> None:
        super().__init__()
        self.routing = nn.Linear(in_channels, experts)
        self.experts = nn.Parameter(torch.empty(experts, out_channels, in_channels, kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        weights = torch.sigmoid(self.routing(x.mean(dim=(2, 3))))
        kernels = weights @ self.experts.flatten(1)
        return convolve_each(x, kernels.reshape(x.shape[0], *self.experts.shape[1:]))


class DynamicConvolution(nn.Module):
    """``y = x * (sum over k of a[k] w[k]) + sum over k of a[k] b[k]`` with the attention ``a``.

    ``a = softmax(F relu(E mean(x) + e) + f)``: shares that sum to 1, where CondConv's routing
    weighs each kernel by itself. The softmax's temperature is 1, which training ends with.

    Source: Chen et al., "Dynamic Convolution: Attention over Convolution Kernels", 2019,
    arXiv:1912.03458, section 3.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: rows and columns of the window; odd.
        kernels: kernels, each with a bias, that are mixed.
        hidden: elements between the two layers of the attention.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, kernels: int, hidden: int
    ) -> None:
        super().__init__()
        self.squeeze = nn.Linear(in_channels, hidden)
        self.excite = nn.Linear(hidden, kernels)
        self.kernels = nn.Parameter(torch.empty(kernels, out_channels, in_channels, kernel, kernel))
        self.biases = nn.Parameter(torch.empty(kernels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        logits = self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3)))))
        shares = torch.softmax(logits, dim=1)
        kernels = (shares @ self.kernels.flatten(1)).reshape(x.shape[0], *self.kernels.shape[1:])
        bias = shares @ self.biases
        return convolve_each(x, kernels) + bias.reshape(*bias.shape, 1, 1)


class DyNetConvolution(nn.Module):
    """``y[o] = x * (sum over g of c[o, g] k[o, g])`` with ``c = sigmoid(C mean(x) + b)``.

    Every output channel has fixed kernels of its own, and coefficients of its own.

    Source: Zhang et al., "DyNet: Dynamic Convolution for Accelerating Convolutional Neural
    Networks", 2020, arXiv:2004.10694, section 3.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, out_channels, H, W].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: rows and columns of the window; odd.
        fixed: kernels that one output channel mixes.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, fixed: int) -> None:
        super().__init__()
        self.coefficients = nn.Linear(in_channels, out_channels * fixed)
        self.kernels = nn.Parameter(torch.empty(out_channels, fixed, in_channels, kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        out_channels, fixed, channels, kernel, _ = self.kernels.shape
        told = torch.sigmoid(self.coefficients(x.mean(dim=(2, 3))))
        mixed = told.reshape(-1, out_channels, 1, fixed) @ self.kernels.flatten(2)
        return convolve_each(x, mixed.reshape(-1, out_channels, channels, kernel, kernel))


def conditional_convolution() -> ConditionalConvolution:
    """From 6 channels to 10, by 3x3 kernels of 4 experts."""
    return ConditionalConvolution(6, 10, 3, 4)


def dynamic_convolution() -> DynamicConvolution:
    """From 8 channels to 9, by attention over 4 kernels of 3x3."""
    return DynamicConvolution(8, 9, 3, kernels=4, hidden=5)


def dynet_convolution() -> DyNetConvolution:
    """From 7 channels to 8, each by 3 fixed kernels of 3x3."""
    return DyNetConvolution(7, 8, 3, 3)
