"""Convolutions that PyTorch has as one layer: other windows, groups, steps and dimensions."""

from __future__ import annotations

from torch import nn

from edgewright.models.layers.depthwise_separable import DepthwiseSeparable
from edgewright.models.layers.mlp_conv import MlpConv

__all__ = [
    "convolution_1d",
    "convolution_3d",
    "depthwise_separable_convolution",
    "dilated_convolution",
    "grouped_convolution",
    "grouped_transposed_convolution",
    "mlp_convolution",
    "pointwise_convolution",
    "transposed_convolution",
]


def pointwise_convolution() -> nn.Conv2d:
    """``y[n, o, h, w] = b[o] + sum over i of x[n, i, h, w] k[o, i]``: a window of one element.

    Source: Lin et al., "Network in Network", 2013, arXiv:1312.4400, section 3.1.

    Shapes:
        x: float32[N, 10, H, W]; y: float32[N, 14, H, W].
    """
    return nn.Conv2d(10, 14, 1)


def mlp_convolution() -> MlpConv:
    """A 5x5 convolution, then a perceptron at each place: two of 1x1, each with ReLU.

    The formula is at :class:`MlpConv`.

    Source: Lin et al., "Network in Network", 2013, arXiv:1312.4400, equation 2.

    Shapes:
        x: float32[N, 3, H, W]; y: float32[N, 13, H, W].
    """
    return MlpConv(3, (18, 11, 13), 5)


def dilated_convolution() -> nn.Conv2d:
    """A 3x3 window whose elements are 2 rows and 3 columns apart.

    ``y[n, o, h, w] = b[o] + sum over i, r, s of x[n, i, h + 2 r - 2, w + 3 s - 3] k[o, i, r, s]``;
    outside the image ``x`` is 0. It spans 5x7 elements for the cost of 9.

    Source: Yu and Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", 2015,
    arXiv:1511.07122, equation 2.

    Shapes:
        x: float32[N, 8, H, W]; y: float32[N, 12, H, W].
    """
    return nn.Conv2d(8, 12, 3, padding=(2, 3), dilation=(2, 3))


def grouped_convolution() -> nn.Conv2d:
    """A 3x3 convolution in 3 groups, each from 4 channels of ``x`` to 5 of ``y``, with a stride.

    ``y[n, 5 g + o, h, w] = b[5 g + o] + sum over i, r, s of
    x[n, 4 g + i, 2 h + r - 1, 2 w + s - 1] k[5 g + o, i, r, s]``; a third of the full
    convolution's cost.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    2012, section 3.2; Xie et al., 2016, arXiv:1611.05431, made groups a dimension of design.

    Shapes:
        x: float32[N, 12, H, W]; y: float32[N, 15, ceil(H / 2), ceil(W / 2)].
    """
    return nn.Conv2d(12, 15, 3, stride=2, padding=1, groups=3)


def depthwise_separable_convolution() -> DepthwiseSeparable:
    """A 3x3 convolution of each channel by itself, then 1x1 over all, with a stride of 2.

    The formula, and what it saves, is at :class:`DepthwiseSeparable`.

    Source: Howard et al., "MobileNets", 2017, arXiv:1704.04861, section 3.1.

    Shapes:
        x: float32[N, 10, H, W]; y: float32[N, 14, ceil(H / 2), ceil(W / 2)].
    """
    return DepthwiseSeparable(10, 14, stride=2)


def transposed_convolution() -> nn.ConvTranspose2d:
    """``y[n, o, 2 h + r - 1, 3 w + s - 1] += x[n, i, h, w] k[i, o, r, s]``, from ``b[o]``.

    Every element of ``x`` adds a 3x4 window to ``y``, windows being 2 rows and 3 columns apart;
    what falls outside of ``y`` is dropped. The output padding of one row and two columns lengthens
    ``y`` at its end, where windows still reach.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
    arXiv:1603.07285, relationship 14.

    Shapes:
        x: float32[N, 9, H, W]; y: float32[N, 7, 2 H, 3 W + 1].
    """
    return nn.ConvTranspose2d(9, 7, (3, 4), stride=(2, 3), padding=1, output_padding=(1, 2))


def grouped_transposed_convolution() -> nn.ConvTranspose2d:
    """A transposed 4x4 convolution in 3 groups, each from 4 channels of ``x`` to 2 of ``y``.

    ``y[n, 2 g + o, 2 h + r - 1, 2 w + s - 1] += x[n, 4 g + i, h, w] k[4 g + i, o, r, s]``, from
    ``b[2 g + o]``. It doubles the extents, as in decoders and detector heads.

    Source: Dumoulin and Visin, 2016, arXiv:1603.07285, relationship 14; groups as in
    :func:`grouped_convolution`.

    Shapes:
        x: float32[N, 12, H, W]; y: float32[N, 6, 2 H, 2 W].
    """
    return nn.ConvTranspose2d(12, 6, 4, stride=2, padding=1, groups=3)


def convolution_1d() -> nn.Conv1d:
    """``y[n, o, t] = b[o] + sum over i, r of x[n, i, 2 t + r - 2] k[o, i, r]``, a window of 5.

    Source: Waibel et al., "Phoneme Recognition Using Time-Delay Neural Networks", 1989.

    Shapes:
        x: float32[N, 8, T]; y: float32[N, 12, ceil(T / 2)].
    """
    return nn.Conv1d(8, 12, 5, stride=2, padding=2)


def convolution_3d() -> nn.Conv3d:
    """A window of 3 images by 2x3 elements, stepping by 1, 2 and 1.

    ``y[n, o, d, h, w] = b[o] + sum over i, q, r, s of
    x[n, i, d + q - 1, 2 h + r, w + s - 1] k[o, i, q, r, s]``.

    Source: Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", 2014,
    arXiv:1412.0767.

    Shapes:
        x: float32[N, 3, D, H, W]; y: float32[N, 5, D, floor(H / 2), W].
    """
    return nn.Conv3d(3, 5, (3, 2, 3), stride=(1, 2, 1), padding=(1, 0, 1))
