"""k-max pooling along a sequence: the largest elements, in the order in which they came."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DynamicKMaxPooling", "KMaxPooling", "dynamic_k_max_pooling", "k_max_pooling"]


class KMaxPooling(nn.Module):
    """``y[n, c]``: the ``k`` largest elements of ``x[n, c]``, in their own order.

    Source: Kalchbrenner et al., "A Convolutional Neural Network for Modelling Sentences", 2014,
    arXiv:1404.2188, section 3.2.

    Shapes:
        x: float32[N, C, T], ``T >= k``; y: float32[N, C, k].

    Args:
        k: elements that are kept.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        places = x.topk(self.k, dim=2).indices.sort(dim=2).values
        return x.gather(2, places)


class DynamicKMaxPooling(nn.Module):
    """``k``-max pooling of the first ``s`` elements, ``k = max(top, ceil((L - l) / L s))``.

    How many of ``x[n, c]`` are kept follows from the sentence's length ``s = length[n]``, which is
    at most ``T``, from the number ``l`` of this layer and the number ``L`` of layers; but no more
    than there are. Where a longer sentence would have kept more, zeros follow.

    Behind a wide convolution of ``m`` taps a sentence has ``s + m - 1`` elements: the *margin* is
    what it has beyond ``s``.

    Source: Kalchbrenner et al., "A Convolutional Neural Network for Modelling Sentences", 2014,
    arXiv:1404.2188, section 3.3, equation 5.

    Shapes:
        x: float32[N, C, T + margin]; length: int64[N], 0 to ``T``; y: float32[N, C, k for
        ``s = T``].

    Args:
        extent: ``T``.
        top: what is kept at least, as by the last pooling.
        layer: ``l``, counted from 1.
        layers: ``L``.
        margin: elements of a sentence beyond its length.
    """

    def __init__(self, extent: int, *, top: int, layer: int, layers: int, margin: int = 0) -> None:
        super().__init__()
        self.extent = extent + margin
        self.margin = margin
        # A table: its rounding is that of integers, and compilers know from it what a length is.
        keeps = [
            min(length + margin, max(top, -(-(layers - layer) * length // layers)))
            for length in range(extent + 1)
        ]
        self.width = keeps[-1]
        self.register_buffer("keeps", torch.tensor(keeps))

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """Maps ``x`` and ``length`` to ``y``, shapes as in the class."""
        inside = torch.arange(self.extent, device=x.device) < length.reshape(-1, 1, 1) + self.margin
        order = x.masked_fill(~inside, -torch.inf).topk(self.width, dim=2).indices
        kept = torch.arange(self.width, device=x.device) < self.get_buffer("keeps")[length].reshape(
            -1, 1, 1
        )
        # What is not kept is taken from one zero behind the sentence, and so comes last.
        places = torch.where(kept, order, self.extent).sort(dim=2).values
        zero = torch.zeros_like(x[:, :, :1])
        return torch.cat((x, zero), dim=2).gather(2, places)


def k_max_pooling() -> KMaxPooling:
    """The 5 largest."""
    return KMaxPooling(5)


def dynamic_k_max_pooling() -> DynamicKMaxPooling:
    """In the first of three layers, sentences of up to 19 words, the last pooling keeping 4."""
    return DynamicKMaxPooling(19, top=4, layer=1, layers=3)
