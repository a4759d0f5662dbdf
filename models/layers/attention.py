"""Attention: a mean of the elements of a memory, weighted by how well each fits a query."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = [
    "AdditiveAttention",
    "DotProductAttention",
    "MultiHeadAttention",
    "additive_attention",
    "dot_product_attention",
    "multi_head_attention",
    "valid_weights",
]

#: What the scores of elements behind the length become: softmax gives them 0, but equal shares
#: where there is no other element.
_NEVER = -1e30


def valid_weights(scores: Tensor, lengths: Tensor) -> Tensor:
    """Softmax over the first ``lengths[n]`` of ``scores[n, ..., t]``; the others weigh 0.

    Args:
        scores: float32[N, ..., T], of static extents.
        lengths: int64[N]; for 0 all elements weigh the same.
    """
    ends = lengths.reshape(-1, *[1] * (scores.ndim - 1))
    inside = torch.arange(scores.shape[-1], device=scores.device) < ends
    return scores.masked_fill(~inside, _NEVER).softmax(dim=-1)


class AdditiveAttention(nn.Module):
    """``y = sum over t of a[t] m[t]``, ``a = softmax(v . tanh(W q + U m[t]))``.

    Source: Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
    Translate", 2014, arXiv:1409.0473, section 3.1 and appendix A.1.2.

    Shapes:
        query: float32[N, Q]; memory: float32[N, T, M]; lengths: int64[N]; y: float32[N, M]; a:
        float32[N, T].

    Args:
        query: ``Q``.
        memory: ``M``.
        units: elements that are compared.
    """

    def __init__(self, query: int, memory: int, units: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(query, units, bias=False)
        self.of_memory = nn.Linear(memory, units)
        self.score = nn.Linear(units, 1, bias=False)

    def weights(self, query: Tensor, memory: Tensor, lengths: Tensor) -> Tensor:
        """``a``: how much of each element is taken."""
        sums = self.of_query(query).unsqueeze(1) + self.of_memory(memory)
        return valid_weights(self.score(sums.tanh()).squeeze(2), lengths)

    def forward(self, query: Tensor, memory: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``y`` and ``a``, shapes as in the class."""
        weights = self.weights(query, memory, lengths)
        return (weights.unsqueeze(1) @ memory).squeeze(1), weights


class DotProductAttention(nn.Module):
    """``y[s] = sum over t of a[s, t] v[t]``, ``a[s] = softmax over t of q[s] . k[t] / sqrt(d)``.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, section 3.2.1.

    Shapes:
        queries: float32[..., S, d]; keys: float32[..., T, d]; values: float32[..., T, e]; lengths:
        int64[N], of keys; y: float32[..., S, e].
    """

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """Maps queries, keys and values to ``y``, shapes as in the class."""
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        return valid_weights(scores, lengths) @ values


class MultiHeadAttention(nn.Module):
    """Several dot-product attentions of one sequence to itself, each on its own projection of it.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, section 3.2.2.

    Shapes:
        x: float32[N, T, C]; lengths: int64[N]; y: float32[N, T, C].

    Args:
        channels: ``C``, a multiple of ``heads``.
        heads: how many attentions.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.of_queries = nn.Linear(channels, channels)
        self.of_keys = nn.Linear(channels, channels)
        self.of_values = nn.Linear(channels, channels)
        self.attention = DotProductAttention()
        self.joined = nn.Linear(channels, channels)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        batch, steps, channels = x.shape
        split = (batch, steps, self.heads, channels // self.heads)
        queries, keys, values = (
            projection(x).reshape(split).transpose(1, 2)
            for projection in (self.of_queries, self.of_keys, self.of_values)
        )
        heads = self.attention(queries, keys, values, lengths).transpose(1, 2)
        joined: Tensor = self.joined(heads.reshape(batch, steps, channels))
        return joined


def additive_attention() -> AdditiveAttention:
    """A query of 14 to a memory of 10 elements of 18, compared in 16 units."""
    return AdditiveAttention(14, 18, 16)


def dot_product_attention() -> DotProductAttention:
    """7 queries to 11 keys, 16 elements each."""
    return DotProductAttention()


def multi_head_attention() -> MultiHeadAttention:
    """24 channels, 3 heads."""
    return MultiHeadAttention(24, 3)
