"""Inverted residual with squeeze and excitation, of MobileNetV3 and EfficientNet."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.squeeze_excitation import SqueezeExcitation

__all__ = ["SqueezedResidual"]


class SqueezedResidual(nn.Module):
    """``y = x + project(weigh(depthwise(expand(x))))``, or without ``x +`` where shapes differ.

    Sources: Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244, figure 4; Tan and
    Le, "EfficientNet", 2019, arXiv:1905.11946, section 4. ``expand`` is 1x1, left out where it
    would not change the number of channels; ``weigh`` is squeeze and excitation, or nothing;
    ``project`` is 1x1 and linear. The convolutions are batch normalised.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, out_channels, ceil(H / stride), ceil(W / stride)].

    Args:
        in_channels: channels of ``x``.
        hidden: channels of the depthwise convolution.
        out_channels: channels of ``y``.
        kernel: height and width of the depthwise convolution; odd.
        stride: its step; a step of 1 and equal channels add ``x``.
        squeezed: inner channels of squeeze and excitation; 0 for none.
        activation: class of the activation behind ``expand`` and ``depthwise``.
        squeeze_activation: class of the activation within squeeze and excitation.
        gate: class of the activation that ends squeeze and excitation.
        epsilon: of the batch normalisations.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        squeezed: int = 0,
        activation: type[nn.Module] = nn.SiLU,
        squeeze_activation: type[nn.Module] = nn.SiLU,
        gate: type[nn.Module] = nn.Sigmoid,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if hidden != in_channels:
            parts["expand"] = ConvBatchNorm(
                in_channels, hidden, 1, activation=activation, epsilon=epsilon
            )
        parts["depthwise"] = ConvBatchNorm(
            hidden,
            hidden,
            kernel,
            stride=stride,
            groups=hidden,
            activation=activation,
            epsilon=epsilon,
        )
        if squeezed:
            parts["weigh"] = SqueezeExcitation(
                hidden, squeezed, activation=squeeze_activation, gate=gate
            )
        parts["project"] = ConvBatchNorm(hidden, out_channels, 1, activation=None, epsilon=epsilon)
        self.branch = nn.Sequential(parts)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        y: Tensor = self.branch(x)
        return x + y if self.adds_input else y
