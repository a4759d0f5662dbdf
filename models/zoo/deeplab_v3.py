"""DeepLabv3 on MobileNetV2: a class for every pixel, by dilated convolutions.

Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation",
2017, arXiv:1706.05587, section 3; the backbone is that of Sandler et al., 2018, arXiv:1801.04381,
section 6.3. Its last strides are taken out and what follows is dilated, so that 16 pixels, not 32,
are one place. Images are a half of the papers' 513 a side.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.functional import interpolate

from edgewright.models.layers import AtrousPyramid, ConvBatchNorm, InvertedResidual

__all__ = ["build"]

#: t, c, n, s of MobileNetV2, and the dilation; the last strides of 2 are 1 here.
STAGES = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 2, 1),
    (6, 96, 3, 1, 1),
    (6, 160, 3, 1, 2),
    (6, 320, 1, 1, 2),
)
#: Of the pyramid, where 16 pixels are one place.
RATES = (6, 12, 18)
PYRAMID_CHANNELS = 256
#: Of PASCAL VOC, with the background.
CLASSES = 21


class _DeepLab(nn.Module):
    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, 3, H, W] to float32[N, CLASSES, H, W]."""
        coarse = self.head(self.backbone(x))
        size = (x.shape[2], x.shape[3])
        return interpolate(coarse, size=size, mode="bilinear", align_corners=False)


def build() -> nn.Module:
    """float32[N, 3, 257, 257] to float32[N, 21, 257, 257]; 4,523,541 parameters."""
    channels = 32
    backbone: list[nn.Module] = [ConvBatchNorm(3, channels, 3, stride=2, activation=nn.ReLU6)]
    for expansion, width, repeats, first_stride, dilation in STAGES:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            backbone.append(
                InvertedResidual(
                    channels, width, stride=stride, dilation=dilation, expansion=expansion
                )
            )
            channels = width
    head = OrderedDict(
        pyramid=AtrousPyramid(channels, PYRAMID_CHANNELS, RATES),
        dropout=nn.Dropout(0.5),
        classify=nn.Conv2d(PYRAMID_CHANNELS, CLASSES, 1),
    )
    return _DeepLab(nn.Sequential(*backbone), nn.Sequential(head))
