"""Policy network of AlphaGo: a move on a 19x19 board, and no pooling anywhere.

Silver, Huang, Maddison, Guez, Sifre, van den Driessche, ... and Hassabis, "Mastering the game of Go
with deep neural networks and tree search", Nature 529, 2016, Methods ("Neural network
architecture"), with the 192 filters of the match version.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgewright.models.layers import PlaceBias

__all__ = ["build"]

BOARD = 19
#: Feature planes that describe a position.
PLANES = 48
FILTERS = 192
#: Convolutions of 3x3, between one of 5x5 and one of 1x1.
MIDDLE_LAYERS = 11


def build() -> nn.Module:
    """float32[N, 48, 19, 19] to the 361 moves' probabilities; 3,882,793 parameters."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(PLANES, FILTERS, 5, padding=2),
        activation1=nn.ReLU(),
    )
    for index in range(2, MIDDLE_LAYERS + 2):
        parts[f"conv{index}"] = nn.Conv2d(FILTERS, FILTERS, 3, padding=1)
        parts[f"activation{index}"] = nn.ReLU()
    parts["last"] = nn.Conv2d(FILTERS, 1, 1, bias=False)
    parts["places"] = PlaceBias(BOARD * BOARD)
    parts["softmax"] = nn.Softmax(dim=1)
    return nn.Sequential(parts)
