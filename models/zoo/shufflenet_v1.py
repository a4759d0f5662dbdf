"""ShuffleNetV1, 3 groups, width 1.0, resolution 224.

Zhang, Zhou, Lin and Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
Mobile Devices", 2017, arXiv:1707.01083, table 1 (g = 3).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import ConvBatchNorm, GroupedShuffleUnit, PooledHead

__all__ = ["build"]

#: Channels and units of stages 2 to 4; the first unit of each halves the size.
STAGES = ((240, 4), (480, 8), (960, 4))
GROUPS = 3


def build() -> nn.Module:
    """float32[N, 3, 224, 224] to float32[N, 1000]; 1,865,728 parameters."""
    channels = 24
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=ConvBatchNorm(3, channels, 3, stride=2),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    for number, (width, repeats) in enumerate(STAGES, start=2):
        units: list[nn.Module] = []
        for index in range(repeats):
            starts = number == 2 and index == 0
            units.append(
                GroupedShuffleUnit(
                    channels,
                    width,
                    groups=GROUPS,
                    stride=2 if index == 0 else 1,
                    first_groups=1 if starts else 0,
                )
            )
            channels = width
        parts[f"stage{number}"] = nn.Sequential(*units)
    parts["head"] = PooledHead(channels, 1000)
    return nn.Sequential(parts)
