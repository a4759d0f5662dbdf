"""Residual blocks of Xception."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.separable_conv import SeparableConv

__all__ = ["XceptionBlock"]


class XceptionBlock(nn.Module):
    """``y = shortcut(x) + pool(separable(relu(... separable(relu(x)))))``.

    Source: Chollet, "Xception", 2016, arXiv:1610.02357, figure 5. ``pool`` is maximum pooling of
    3x3 with stride 2 and ``shortcut`` a batch normalised 1x1 convolution with stride 2; both are
    left out of the blocks of the middle flow, which keep size and channels.

    Shapes:
        x: float32[N, in_channels, H, W];
        y: float32[N, widths[-1], ceil(H / 2), ceil(W / 2)], or of ``x`` in the middle flow.

    Args:
        in_channels: channels of ``x``.
        widths: channels that each separable convolution gives out.
        halves: whether the block halves the size; if not, ``widths`` ends with ``in_channels``.
        starts_active: False leaves out the first ReLU, where ``x`` comes from one.
        epsilon: of the batch normalisations.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, ...],
        *,
        halves: bool = True,
        starts_active: bool = True,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        for index, width in enumerate(widths, start=1):
            if index > 1 or starts_active:
                parts[f"activation{index}"] = nn.ReLU()
            parts[f"separable{index}"] = SeparableConv(
                channels, width, epsilon=epsilon, activation=None
            )
            channels = width
        self.shortcut: nn.Module = nn.Identity()
        if halves:
            parts["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
            self.shortcut = ConvBatchNorm(
                in_channels, channels, 1, stride=2, epsilon=epsilon, activation=None
            )
        self.branch = nn.Sequential(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        y: Tensor = self.shortcut(x) + self.branch(x)
        return y
