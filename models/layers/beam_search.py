"""Beam search: the most probable sequences of tokens, a few of them at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgewright.models.layers.encoder_decoder import TokenDecoder

__all__ = ["BeamSearch", "beam_search"]

#: Logarithm of a probability that never wins.
_NEVER = -1e9


class BeamSearch(nn.Module):
    """Keeps, after each token, the ``K`` most probable beginnings of a sentence.

    A decoder gives the logits of the next token. Of the ``K V`` continuations of all beginnings the
    ``K`` with the largest sum of log probabilities live on; what has ended is continued by the end
    token alone, at no cost. Everything is static: ``T`` steps, whether all have ended or not.

    Source: Graves, "Sequence Transduction with Recurrent Neural Networks", 2012, arXiv:1211.3711;
    Sutskever et al., 2014, arXiv:1409.3215, section 3.2.

    Shapes:
        state: float32[N, H]; memory: tensors whose axis 0 is N; tokens: int64[N, T]; score:
        float32[N], the log probability of ``tokens``.

    Args:
        decoder: called with tokens int64[N K], a state float32[N K, H] and memory, N K each; gives
            logits float32[N K, V] and the next state.
        width: ``K``, at most ``V``.
        steps: ``T``.
        vocabulary: ``V``.
        start: the token in front of a sentence.
        end: the token that ends one.
    """

    def __init__(
        self,
        decoder: nn.Module,
        *,
        width: int,
        steps: int,
        vocabulary: int,
        start: int = 0,
        end: int = 1,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.width = width
        self.steps = steps
        self.vocabulary = vocabulary
        self.start = start
        self.end = end

    def forward(self, state: Tensor, *memory: Tensor) -> tuple[Tensor, Tensor]:
        """The best sentence and its score, shapes as in the class."""
        batch, device = state.shape[0], state.device
        state = self._for_each_beam(state)
        memory = tuple(self._for_each_beam(item) for item in memory)
        token = torch.full((batch * self.width,), self.start, dtype=torch.long, device=device)
        # All beams begin alike: only the first one counts.
        first = [0.0] + [_NEVER] * (self.width - 1)
        scores = torch.tensor([first] * batch, dtype=state.dtype, device=device)
        ended = torch.zeros((batch, self.width), dtype=torch.bool, device=device)
        history: list[Tensor] = []
        for _ in range(self.steps):
            logits, state = self.decoder(token, state, *memory)
            chosen, scores, beam = self._best(scores, logits, ended)
            state = _of_beams(state.reshape(batch, self.width, -1), beam).flatten(0, 1)
            history = [tokens.gather(1, beam) for tokens in history]
            history.append(chosen)
            ended = chosen == self.end
            token = chosen.flatten()
        return torch.stack(history, dim=2)[:, 0], scores[:, 0]

    def _for_each_beam(self, x: Tensor) -> Tensor:
        """Each row ``K`` times: ``[N, ...]`` to ``[N K, ...]``."""
        return x.unsqueeze(1).expand(-1, self.width, *x.shape[1:]).flatten(0, 1)

    def _best(self, scores: Tensor, logits: Tensor, ended: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, scores and former beams of the ``K`` best continuations, ``[N, K]`` each."""
        batch = scores.shape[0]
        steps = logits.log_softmax(dim=1).reshape(batch, self.width, self.vocabulary)
        ends = torch.arange(self.vocabulary, device=logits.device) == self.end
        free = torch.where(ends, torch.zeros_like(steps), torch.full_like(steps, _NEVER))
        steps = torch.where(ended.unsqueeze(2), free, steps)
        totals = (scores.unsqueeze(2) + steps).flatten(1)
        best, places = totals.topk(self.width, dim=1)
        # Comparisons give the same as a division by V, in operators that every engine has.
        borders = torch.arange(1, self.width, device=logits.device) * self.vocabulary
        beam = (places.unsqueeze(2) >= borders).long().sum(dim=2)
        return places - beam * self.vocabulary, best, beam


def _of_beams(x: Tensor, beam: Tensor) -> Tensor:
    """``x[n, beam[n, k]]``, float32[N, K, H]."""
    return x.gather(1, beam.unsqueeze(2).expand(-1, -1, x.shape[2]))


def beam_search() -> BeamSearch:
    """4 beams, 6 steps, 30 tokens, a decoder of 24 units."""
    return BeamSearch(TokenDecoder(30, 24), width=4, steps=6, vocabulary=30)
