"""A small translation model with attention, and beam search inside of the network.

Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate",
2014, arXiv:1409.0473, section 3 and appendix A: a bidirectional encoder, and a decoder that attends
to all of its states before each word. The paper's deep output layer is one linear layer here, and
its units are 48 instead of 1000.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgewright.models.layers.attention import AdditiveAttention
from edgewright.models.layers.beam_search import BeamSearch
from edgewright.models.layers.recurrent import Recurrent

__all__ = ["AttentionDecoder", "AttentionTranslation", "build"]

VOCABULARY = 200
WORDS = 10
HIDDEN = 48
BEAMS = 3
STEPS = 8


class AttentionDecoder(nn.Module):
    """One word: ``c = attention(h, memory)``, ``h' = GRU([E[token]; c], h)``, logits of all three.

    Shapes:
        token: int64[N]; state: float32[N, H]; memory: float32[N, T, 2 H]; lengths: int64[N];
        logits: float32[N, V].
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.attention = AdditiveAttention(HIDDEN, 2 * HIDDEN, HIDDEN)
        self.cell = nn.GRU(3 * HIDDEN, HIDDEN)
        self.logits = nn.Linear(4 * HIDDEN, VOCABULARY)

    def forward(
        self, token: Tensor, state: Tensor, memory: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The logits of the next token, and the next state."""
        word = self.embedding(token)
        context, _ = self.attention(state, memory, lengths)
        seen = torch.cat((word, context), dim=1)
        _, following = self.cell(seen.unsqueeze(0), state.unsqueeze(0))
        return self.logits(torch.cat((following[0], seen), dim=1)), following[0]


class AttentionTranslation(nn.Module):
    """Source words to the best sentence of :data:`STEPS` words, and its log probability.

    Shapes:
        words: int64[N, WORDS]; lengths: int64[N], 0 to WORDS; tokens: int64[N, STEPS]; score:
        float32[N].
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.encoder = Recurrent(nn.GRU, WORDS, HIDDEN, HIDDEN, directions=2)
        self.first_state = nn.Linear(HIDDEN, HIDDEN)
        self.search = BeamSearch(
            AttentionDecoder(), width=BEAMS, steps=STEPS, vocabulary=VOCABULARY
        )

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Maps words and lengths to tokens and score, shapes as in the class."""
        memory, finals = self.encoder(self.embedding(words), lengths)
        # The backward direction ends at the sentence's first word.
        state = self.first_state(finals[:, HIDDEN:]).tanh()
        tokens, score = self.search(state, memory, lengths)
        return tokens, score


def build() -> nn.Module:
    """int64[N, 10] and int64[N] to int64[N, 8] and float32[N]."""
    return AttentionTranslation()
