"""A pointer network, which orders the points that it is given.

Vinyals, Fortunato and Jaitly, "Pointer Networks", 2015, arXiv:1506.03134, section 2.3, here as for
planar routes: each point is visited once, the most probable one first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgewright.models.layers.pointer_attention import PointerAttention

__all__ = ["PointerNetwork", "build"]

POINTS = 10
HIDDEN = 64


class PointerNetwork(nn.Module):
    """An LSTM reads the points; another points to one after the other, and reads what it chose.

    Shapes:
        points: float32[N, POINTS, 2]; places: int64[N, POINTS], the order of visits; chance:
        float32[N, POINTS], the probability of each choice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(2, HIDDEN, batch_first=True)
        self.decoder = nn.LSTM(2, HIDDEN, batch_first=True)
        self.pointer = PointerAttention(HIDDEN)
        self.start = nn.Parameter(torch.empty(2))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Maps points to places and chances, shapes as in the class."""
        memory, state = self.encoder(points)
        chosen = self.start + torch.zeros_like(points[:, :1])
        taken = torch.zeros_like(points[:, :, 0])
        numbers = torch.arange(POINTS, device=points.device)
        places, chances = [], []
        for _ in range(POINTS):
            hidden, state = self.decoder(chosen, state)
            weights = self.pointer(hidden[:, 0], memory, taken)
            place = weights.argmax(dim=1, keepdim=True)
            places.append(place)
            chances.append(weights.gather(1, place))
            chosen = points.gather(1, place.unsqueeze(2).expand(-1, -1, 2))
            taken = taken + (numbers == place).to(taken.dtype)
        return torch.cat(places, dim=1), torch.cat(chances, dim=1)


def build() -> nn.Module:
    """float32[N, 10, 2] to int64[N, 10] and float32[N, 10]."""
    return PointerNetwork()
