"""DSSD on ResNet-18, for images of 128x128: a detector whose head deconvolves.

Fu, Liu, Ranga, Tyagi and Berg, "DSSD: Deconvolutional Single Shot Detector", 2017,
arXiv:1701.06659, figure 1 (bottom). The paper has ResNet-101, images of 321x321 and six maps; here
ResNet-18 (He et al., 2015, arXiv:1512.03385) gives three, of 16x16, 8x8 and 4x4. Anchors and the
choice among overlapping boxes are arithmetic on the outputs, and not of the network.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from edgewright.models.layers import (
    BasicBlock,
    ConvBatchNorm,
    DeconvolutionModule,
    DetectionHead,
)

__all__ = ["build"]

#: Channels of conv2_x to conv5_x; the last three are judged.
STAGE_CHANNELS = (64, 128, 256, 512)
#: Channels of the deconvolved maps.
FEATURES = 256
#: Boxes at each place, and classes of PASCAL VOC with the background.
ANCHORS, CLASSES = 6, 21


class _Dssd(nn.Module):
    """Down to the coarsest map, and up again; each map is judged on the way up."""

    def __init__(self) -> None:
        super().__init__()
        channels = STAGE_CHANNELS[0]
        self.stem = nn.Sequential(
            OrderedDict(
                conv=ConvBatchNorm(3, channels, 7, stride=2),
                pool=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        self.stages = nn.ModuleList()
        for index, width in enumerate(STAGE_CHANNELS):
            first = BasicBlock(channels, width, stride=1 if index == 0 else 2)
            self.stages.append(nn.Sequential(first, BasicBlock(width, width)))
            channels = width
        _, fine, middle, coarse = STAGE_CHANNELS
        self.to_middle = DeconvolutionModule(coarse, middle, FEATURES)
        self.to_fine = DeconvolutionModule(FEATURES, fine, FEATURES)
        self.heads = nn.ModuleList(
            DetectionHead(width, FEATURES, ANCHORS, CLASSES)
            for width in (FEATURES, FEATURES, coarse)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32[N, 3, H, W] to classes and boxes, the finest map's first; 32 divides H and W."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        _, fine, middle, coarse = maps
        middle = self.to_middle(coarse, middle)
        fine = self.to_fine(middle, fine)
        judged = [
            head(features)
            for head, features in zip(self.heads, (fine, middle, coarse), strict=True)
        ]
        logits, boxes = zip(*judged, strict=True)
        return torch.cat(logits, dim=1), torch.cat(boxes, dim=1)


def build() -> nn.Module:
    """float32[N, 3, 128, 128] to [N, 2016, 21] and [N, 2016, 4]; 16,640,770 parameters."""
    return _Dssd()
