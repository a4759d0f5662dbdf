"""SegNet-Basic: a decoder that puts features back where pooling had found them.

Badrinarayanan, Kendall and Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
Image Segmentation", 2015, arXiv:1511.00561, section 3.1 (SegNet-Basic: four encoders and four
decoders of 7x7, no ReLU in the decoders).

Images are smaller than the paper's 360x480. Where the two largest elements of a window are nearly
equal, rounding chooses between two places, and the answer differs around it from one sound
implementation to the next: of the millions of windows of such an image, some are so near.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgewright.models.layers import ConvBatchNorm, LocatedMaxPooling, MaxUnpooling

__all__ = ["build"]

CHANNELS = 64
LEVELS = 4
#: Of CamVid.
CLASSES = 11


class _SegNet(nn.Module):
    """Encoders that pool, decoders that unpool by the encoders' locations, last first."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            ConvBatchNorm(3 if level == 0 else CHANNELS, CHANNELS, 7) for level in range(LEVELS)
        )
        self.pool = LocatedMaxPooling(2)
        self.unpool = MaxUnpooling(2)
        self.decoders = nn.ModuleList(
            ConvBatchNorm(CHANNELS, CHANNELS, 7, activation=None) for _ in range(LEVELS)
        )
        self.classify = nn.Conv2d(CHANNELS, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, 3, H, W] to float32[N, CLASSES, H, W]; 16 divides H and W."""
        stored = []
        for encoder in self.encoders:
            x, locations = self.pool(encoder(x))
            stored.append(locations)
        for decoder in self.decoders:
            x = decoder(self.unpool(x, stored.pop()))
        y: Tensor = self.classify(x)
        return y


def build() -> nn.Module:
    """float32[N, 3, 32, 32] to float32[N, 11, 32, 32]; 1,416,075 parameters."""
    return _SegNet()
