"""Squeeze and excitation: channels are weighed by what the whole image holds."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

__all__ = ["SqueezeExcitation"]


class SqueezeExcitation(nn.Module):
    """``y = x * gate(W_2 activation(W_1 mean_hw(x) + b_1) + b_2)``.

    Source: Hu et al., "Squeeze-and-Excitation Networks", 2017, arXiv:1709.01507, equations 2 to 4,
    with biases as in the mobile networks. The matrices are 1x1 convolutions of a 1x1 image.

    Shapes:
        x, y: float32[N, channels, H, W]; W_1: float32[squeezed, channels, 1, 1];
        W_2: float32[channels, squeezed, 1, 1].

    Args:
        channels: channels of ``x`` and ``y``.
        squeezed: channels between the matrices.
        activation: class of the activation between them.
        gate: class of the last activation, with values from 0 to 1.
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        *,
        activation: type[nn.Module] = nn.ReLU,
        gate: type[nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                squeeze=nn.Conv2d(channels, squeezed, 1),
                activation=activation(),
                excite=nn.Conv2d(squeezed, channels, 1),
                gate=gate(),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        weights: Tensor = self.weigh(x)
        return x * weights
