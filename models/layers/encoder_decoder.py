"""Encoder and decoder: a sequence becomes a vector, which becomes another sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgewright.models.layers.recurrent import Recurrent

__all__ = ["EncoderDecoder", "TokenDecoder", "encoder_decoder"]


class TokenDecoder(nn.Module):
    """``h' = GRU(E[token], h)``, logits of the next token ``W h' + b``.

    Shapes:
        token: int64[N]; state: float32[N, H]; logits: float32[N, V].

    Args:
        vocabulary: ``V``.
        hidden: ``H``, also the extent of an embedding.
    """

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.cell = nn.GRU(hidden, hidden)
        self.logits = nn.Linear(hidden, vocabulary)

    def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of the next token, and the next state."""
        # One step of a sequence: ONNX has no operator for a cell alone.
        _, following = self.cell(self.embedding(token).unsqueeze(0), state.unsqueeze(0))
        return self.logits(following[0]), following[0]


class EncoderDecoder(nn.Module):
    """Logits of each target token, given the source and the target tokens before it.

    The encoder's last state is the decoder's first one.

    Sources: Cho et al., 2014, arXiv:1406.1078; Sutskever et al., "Sequence to Sequence Learning
    with Neural Networks", 2014, arXiv:1409.3215.

    Shapes:
        source: int64[N, S]; lengths: int64[N], of sources; target: int64[N, T]; logits:
        float32[N, T, V].

    Args:
        vocabulary: ``V``.
        hidden: units of both.
        steps: ``S``.
    """

    def __init__(self, vocabulary: int, hidden: int, steps: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.encoder = Recurrent(nn.GRU, steps, hidden, hidden)
        self.decoder = TokenDecoder(vocabulary, hidden)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Maps source and target tokens to logits, shapes as in the class."""
        _, state = self.encoder(self.embedding(source), lengths)
        all_logits = []
        for step in range(target.shape[1]):
            logits, state = self.decoder(target[:, step], state)
            all_logits.append(logits)
        return torch.stack(all_logits, dim=1)


def encoder_decoder() -> EncoderDecoder:
    """20 tokens, 24 units, sources of up to 9 tokens."""
    return EncoderDecoder(20, 24, 9)
