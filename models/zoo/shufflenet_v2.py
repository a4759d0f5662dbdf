"""ShuffleNetV2, width 1.0, resolution 224.

Ma, Zhang, Zheng and Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design", 2018, arXiv:1807.11164, table 5 (1x).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, PooledHead, ShuffleUnit

__all__ = ["build"]

#: Channels and units of stages 2 to 4; the first unit of each halves the size.
STAGES = ((116, 4), (232, 8), (464, 4))


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 2,278,604 parameters."""
    channels = 24
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, channels, 3, stride=2),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    for number, (width, repeats) in enumerate(STAGES, start=2):
        units: list[nn.Module] = []
        for index in range(repeats):
            units.append(ShuffleUnit(channels, width, stride=2 if index == 0 else 1))
            channels = width
        parts[f"stage{number}"] = nn.Sequential(*units)
    parts["last"] = ConvBatchNorm(channels, 1024, 1)
    parts["head"] = PooledHead(1024, 1000)
    return nn.Sequential(parts)
