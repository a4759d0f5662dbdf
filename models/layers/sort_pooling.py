"""Sort pooling: the nodes of a graph in an order that does not depend on how they are numbered."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SortPooling", "sort_pooling"]


class SortPooling(nn.Module):
    """``y[n]``: the ``k`` rows of ``x[n]`` whose last feature is largest, in descending order.

    Graphs of fewer nodes get rows of zeros behind. Equal last features, which the source tells
    apart by the feature before, keep the nodes' order.

    Source: Zhang et al., "An End-to-End Deep Learning Architecture for Graph Classification", 2018
    (AAAI), section "The SortPooling Layer".

    Shapes:
        x: float32[N, nodes, D]; y: float32[N, k, D].

    Args:
        nodes: rows of ``x``.
        k: rows of ``y``.
    """

    def __init__(self, nodes: int, k: int) -> None:
        super().__init__()
        self.kept, self.missing = min(k, nodes), max(k - nodes, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        batch, _, features = x.shape
        order = x[:, :, -1].topk(self.kept, dim=1).indices
        rows = x.gather(1, order.unsqueeze(2).expand(-1, -1, features))
        if not self.missing:
            return rows
        return torch.cat((rows, torch.zeros(batch, self.missing, features)), dim=1)


def sort_pooling() -> SortPooling:
    """The first 8 of 23 nodes."""
    return SortPooling(23, 8)
