"""Multi-layer perceptron convolution of Network in Network."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["MlpConv"]


class MlpConv(nn.Sequential):
    """``y = relu(conv1x1(relu(conv1x1(relu(convKxK(x))))))``: a small network slides over ``x``.

    Source: Lin et al., "Network In Network", 2013, arXiv:1312.4400, equation 2. The 1x1
    convolutions are the perceptron's hidden layers, the same weights at every place.

    Shapes:
        x: float32[N, in_channels, H, W]; y: float32[N, widths[-1], H, W].

    Args:
        in_channels: channels of ``x``.
        widths: channels that each convolution gives out.
        kernel: height and width of the first; odd.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...], kernel: int) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        for index, width in enumerate(widths, start=1):
            extent = kernel if index == 1 else 1
            parts[f"conv{index}"] = nn.Conv2d(channels, width, extent, padding=extent // 2)
            parts[f"activation{index}"] = nn.ReLU()
            channels = width
        super().__init__(parts)
