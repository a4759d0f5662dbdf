"""Pointing: attention whose weights are the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PointerAttention", "pointer_attention"]

#: The score of an element that must not be pointed to.
_NEVER = -1e30


class PointerAttention(nn.Module):
    """``p = softmax over t of v . tanh(W q + U m[t])``, 0 for elements that are masked.

    Source: Vinyals et al., "Pointer Networks", 2015, arXiv:1506.03134, section 2.3.

    Shapes:
        query: float32[N, H]; memory: float32[N, T, H]; taken: float32[N, T], above 0 where an
        element is masked; p: float32[N, T].

    Args:
        hidden: ``H``.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(hidden, hidden, bias=False)
        self.of_memory = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, query: Tensor, memory: Tensor, taken: Tensor) -> Tensor:
        """Maps a query and a memory to ``p``, shapes as in the class."""
        sums = self.of_query(query).unsqueeze(1) + self.of_memory(memory)
        scores = self.score(torch.tanh(sums)).squeeze(2)
        chances: Tensor = scores.masked_fill(taken > 0, _NEVER).softmax(dim=1)
        return chances


def pointer_attention() -> PointerAttention:
    """A query to 9 elements of 20."""
    return PointerAttention(20)
