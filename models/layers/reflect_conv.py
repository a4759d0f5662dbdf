"""Convolution of an image that is mirrored at its borders."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

__all__ = ["ReflectConv"]


class ReflectConv(nn.Sequential):
    """``y = relu(instance_norm(conv(reflect(x))))``, the first two where they are asked for.

    Sources: Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
    2016, arXiv:1603.08155 (reflection padding, which leaves no frame around a picture); Ulyanov et
    al., "Instance Normalization", 2016, arXiv:1607.08022, equation 4:
    ``(x - mean_hw(x)) / sqrt(var_hw(x) + eps)`` for each channel of each image, ``eps`` 1e-5, here
    with a trained scale and shift.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of ``y``.
        kernel: height and width of the filter; odd.
        stride: step of the filter.
        normalized: whether instance normalisation follows.
        activated: whether ReLU comes last.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        normalized: bool = True,
        activated: bool = True,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            pad=nn.ReflectionPad2d(kernel // 2),
            conv=nn.Conv2d(in_channels, out_channels, kernel, stride=stride),
        )
        if normalized:
            parts["norm"] = nn.InstanceNorm2d(out_channels, affine=True)
        if activated:
            parts["activation"] = nn.ReLU()
        super().__init__(parts)
