"""DS-CNN (small), which spots keywords in a second of speech.

Zhang, Suda, Lai and Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017,
arXiv:1711.07128, section 3.4 and table 8 (DS-CNN S). The image is 49 windows of 10 mel-frequency
cepstral coefficients; the classes are ten words, silence, and any other word.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, DepthwiseSeparable, PooledHead

__all__ = ["build"]

CHANNELS = 64
#: Depthwise separable convolutions behind the first, full one.
LAYERS = 4


def build() -> nn.Module:
    """float32[N, 1, 49, 10] to float32[N, 12]; 23,180 parameters."""
    stem = OrderedDict(
        # The even filter keeps ceil(extent / 2) by unequal sides, as TensorFlow's "SAME".
        pad=nn.ZeroPad2d((1, 1, 4, 5)),
        conv=ConvBatchNorm(1, CHANNELS, (10, 4), stride=2, padded=False),
    )
    layers = [DepthwiseSeparable(CHANNELS, CHANNELS) for _ in range(LAYERS)]
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(stem),
            layers=nn.Sequential(*layers),
            head=PooledHead(CHANNELS, 12),
        )
    )
