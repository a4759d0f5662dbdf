"""Branches side by side, as in every inception module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Branches"]


class Branches(nn.Module):
    """``y = concat(branch_1(x), branch_2(x), ...)`` over channels.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2014, arXiv:1409.4842, figure 2.

    Shapes:
        x: float32[N, C, H, W]; y: float32[N, sum of C_i, OH, OW], where branch i gives
        float32[N, C_i, OH, OW].

    Args:
        branches: the branches by name, in the order of their channels.
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)
