"""Convolution, batch normalisation, activation."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["ConvBatchNorm"]


class ConvBatchNorm(nn.Sequential):
    """``y = activation(gamma * (conv(x) - mean) / sqrt(var + eps) + beta)``.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015, arXiv:1502.03167. The convolution has no
    bias, because the mean would take it away again. ``gamma``, ``beta``, ``mean`` and ``var`` are
    float32[out_channels].

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, OH, OW],
        OH = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1,
        padding = dilation (kernel - 1) / 2 on every side, so that stride 1 keeps H and W, or 0.

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: extent of the filter, or its height and width; odd where padded.
        stride: step of the filter.
        dilation: distance between neighbouring taps of the filter.
        groups: groups of the convolution; ``in_channels`` makes it depthwise.
        padded: False for a convolution inside the image only.
        epsilon: ``eps`` above.
        activation: class of the activation, or None for a linear block.

    Raises:
        ValueError: ``kernel`` is even, so that no padding keeps the size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padded: bool = True,
        epsilon: float = 1e-5,
        activation: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padded and (height % 2 == 0 or width % 2 == 0):
            raise ValueError(f"the kernel is {kernel}, but only odd ones keep the size")
        same = (dilation * (height // 2), dilation * (width // 2))
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv2d(
                in_channels,
                out_channels,
                (height, width),
                stride=stride,
                padding=same if padded else 0,
                dilation=dilation,
                groups=groups,
                bias=False,
            ),
            norm=nn.BatchNorm2d(out_channels, eps=epsilon),
        )
        if activation is not None:
            parts["activation"] = activation()
        super().__init__(parts)
