"""Fast style transfer: one pass repaints a photograph in a painter's style.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
2016, arXiv:1603.08155, table 1 of the supplement, with the instance normalisation of Ulyanov,
Vedaldi and Lempitsky, 2016, arXiv:1607.08022. Sizes, reflection padding everywhere, and nearest
upsampling in place of strides of a half, which draw checkerboards (Odena et al., 2016,
doi:10.23915/distill.00003), are those of PyTorch's examples (fast_neural_style).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgewright.models.layers import ReflectConv

__all__ = ["build"]

#: Channels at full, half and quarter size.
CHANNELS = (32, 64, 128)
RESIDUAL_BLOCKS = 5


class _Residual(nn.Module):
    """``y = x + conv(relu(conv(x)))``, instance normalised."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            ReflectConv(channels, channels, 3), ReflectConv(channels, channels, 3, activated=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps float32[N, channels, H, W] to the same shape."""
        y: Tensor = x + self.branch(x)
        return y


def build() -> nn.Module:
    """float32[N, 3, 128, 128] to the same shape; 1,679,235 parameters."""
    full, half, quarter = CHANNELS
    return nn.Sequential(
        OrderedDict(
            conv1=ReflectConv(3, full, 9),
            conv2=ReflectConv(full, half, 3, stride=2),
            conv3=ReflectConv(half, quarter, 3, stride=2),
            blocks=nn.Sequential(*(_Residual(quarter) for _ in range(RESIDUAL_BLOCKS))),
            up4=nn.Upsample(scale_factor=2, mode="nearest"),
            conv4=ReflectConv(quarter, half, 3),
            up5=nn.Upsample(scale_factor=2, mode="nearest"),
            conv5=ReflectConv(half, full, 3),
            conv6=ReflectConv(full, 3, 9, normalized=False, activated=False),
        )
    )
