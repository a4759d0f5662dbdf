"""Recurrent layers over sequences of several lengths, in one direction and in two."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = [
    "Recurrent",
    "bidirectional_gru",
    "bidirectional_lstm",
    "bidirectional_rnn",
    "gru",
    "lstm",
    "rnn",
]


class Recurrent(nn.Module):
    """``h[t] = cell(x[t], h[t - 1])`` for ``t < length``, ``h[-1] = 0``; zeros behind the length.

    With two directions a second cell runs from each sequence's own last element to its first, and
    its ``h`` is joined to the first one's. With ``s`` the logistic function, the cells are::

        RNN   h' = tanh(W x + R h + b)
        LSTM  i, f, o = s(W_j x + R_j h + b_j);  g = tanh(W_g x + R_g h + b_g)
              c' = f c + i g;  h' = o tanh(c')
        GRU   r, z = s(W_j x + R_j h + b_j);  n = tanh(W_n x + b_n + r (R_n h + d_n))
              h' = (1 - z) n + z h

    Sources: Elman, "Finding Structure in Time", 1990; Hochreiter and Schmidhuber, "Long Short-Term
    Memory", 1997, with the forget gate of Gers et al., 2000; Cho et al., 2014, arXiv:1406.1078, the
    reset gate behind the product as in cuDNN; Schuster and Paliwal, "Bidirectional Recurrent Neural
    Networks", 1997.

    Shapes:
        x: float32[N, T, I]; lengths: int64[N], 0 to ``T``; h of all steps: float32[N, T, D H]; the
        last one of each direction: float32[N, D H].

    Args:
        kind: ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``.
        steps: ``T``.
        inputs: ``I``.
        hidden: ``H``.
        directions: ``D``, 1 or 2.
    """

    def __init__(
        self,
        kind: Callable[..., nn.RNNBase],
        steps: int,
        inputs: int,
        hidden: int,
        directions: int = 1,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.cells = nn.ModuleList(
            kind(inputs, hidden, batch_first=True) for _ in range(directions)
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``x`` and ``lengths`` to all ``h`` and the last ones, shapes as in the class."""
        places = torch.arange(self.steps, device=x.device)
        ends = lengths.reshape(-1, 1)
        inside = places < ends
        # What lies behind the end stays where it is, and gives zeros.
        mirrored = torch.where(inside, ends - 1 - places, places)
        outputs, finals = [], []
        for direction, cell in enumerate(self.cells):
            h = cell(_picked(x, mirrored) if direction else x)[0]
            h = torch.where(inside.unsqueeze(2), h, torch.zeros_like(h))
            finals.append(_picked(h, (ends - 1).clamp(min=0)).squeeze(1))
            outputs.append(_picked(h, mirrored) if direction else h)
        return torch.cat(outputs, dim=2), torch.cat(finals, dim=1)


def _picked(x: Tensor, places: Tensor) -> Tensor:
    """``x[n, places[n, t]]``, float32[N, T, I]."""
    return x.gather(1, places.unsqueeze(2).expand(-1, -1, x.shape[2]))


def rnn() -> Recurrent:
    """11 steps, 12 inputs, 20 units."""
    return Recurrent(nn.RNN, 11, 12, 20)


def lstm() -> Recurrent:
    """11 steps, 12 inputs, 20 units."""
    return Recurrent(nn.LSTM, 11, 12, 20)


def gru() -> Recurrent:
    """11 steps, 12 inputs, 20 units."""
    return Recurrent(nn.GRU, 11, 12, 20)


def bidirectional_rnn() -> Recurrent:
    """11 steps, 12 inputs, 2 x 20 units."""
    return Recurrent(nn.RNN, 11, 12, 20, directions=2)


def bidirectional_lstm() -> Recurrent:
    """11 steps, 12 inputs, 2 x 20 units."""
    return Recurrent(nn.LSTM, 11, 12, 20, directions=2)


def bidirectional_gru() -> Recurrent:
    """11 steps, 12 inputs, 2 x 20 units."""
    return Recurrent(nn.GRU, 11, 12, 20, directions=2)
