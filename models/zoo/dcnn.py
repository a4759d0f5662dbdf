"""DCNN, the dynamic convolutional network for sentences.

Kalchbrenner, Grefenstette and Blunsom, "A Convolutional Neural Network for Modelling Sentences",
2014, arXiv:1404.2188, sections 3 and 5.2: two wide convolutions of 7 and 5 words, each followed by
folding, (dynamic) k-max pooling and tanh. Convolutions run along the sentence, each row of the
embedding on its own, over all maps of that row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgewright.models.layers.k_max_pooling import DynamicKMaxPooling

__all__ = ["Dcnn", "build"]

VOCABULARY = 2_000
WORDS = 24
ROWS = 48
#: Taps and maps of the two convolutions.
TAPS = (7, 5)
MAPS = (6, 14)
TOP = 4
CLASSES = 2


class Dcnn(nn.Module):
    """Logits of a sentence of up to :data:`WORDS` words.

    Channels are rows of the embedding, each with its maps: channel ``r M + m`` is map ``m`` of row
    ``r``. Folding adds neighbouring rows, which halves their number.

    Shapes:
        words: int64[N, WORDS]; length: int64[N], 0 to WORDS; logits: float32[N, CLASSES].
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, ROWS)
        first, second = TAPS
        self.first = nn.Conv1d(ROWS, ROWS * MAPS[0], first, padding=first - 1, groups=ROWS)
        self.first_pool = DynamicKMaxPooling(WORDS, top=TOP, layer=1, layers=2, margin=first - 1)
        rows = ROWS // 2
        self.second = nn.Conv1d(
            rows * MAPS[0], rows * MAPS[1], second, padding=second - 1, groups=rows
        )
        self.second_pool = DynamicKMaxPooling(
            self.first_pool.width, top=TOP, layer=2, layers=2, margin=second - 1
        )
        self.logits = nn.Linear(rows // 2 * MAPS[1] * TOP, CLASSES)

    def forward(self, words: Tensor, length: Tensor) -> Tensor:
        """Maps words and length to logits, shapes as in the class."""
        inside = torch.arange(WORDS, device=words.device) < length.reshape(-1, 1)
        embedded = self.embedding(words)
        x = torch.where(inside.unsqueeze(2), embedded, torch.zeros_like(embedded)).transpose(1, 2)
        x = self.first_pool(_folded(self.first(x), MAPS[0]), length).tanh()
        kept = self.first_pool.get_buffer("keeps")[length]
        x = self.second_pool(_folded(self.second(x), MAPS[1]), kept).tanh()
        logits: Tensor = self.logits(x.flatten(1))
        return logits


def _folded(x: Tensor, maps: int) -> Tensor:
    """``y[r] = x[2 r] + x[2 r + 1]`` of rows."""
    batch, channels, words = x.shape
    return x.reshape(batch, -1, 2, maps, words).sum(dim=2).reshape(batch, channels // 2, words)


def build() -> nn.Module:
    """int64[N, 24] and int64[N] to float32[N, 2]."""
    return Dcnn()
