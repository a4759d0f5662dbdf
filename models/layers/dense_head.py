"""Classifier of LeNet-5 and VGG: a multi-layer perceptron."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

__all__ = ["DenseHead"]


class DenseHead(nn.Sequential):
    """``h_0 = flatten(x); h_i = activation(W_i h_(i-1) + b_i)``, the last layer without activation.

    Sources: LeCun et al., 1998, section II.B (C5, F6, output); Simonyan and Zisserman, 2014,
    arXiv:1409.1556, section 2.1 (FC-4096, FC-4096, FC-1000).

    Shapes:
        x: float32[N, C, H, W] with ``C H W = widths[0]``, flattened row-major;
        logits: float32[N, widths[-1]]; W_i: float32[widths[i], widths[i - 1]].

    Args:
        widths: features of the input, of each hidden layer, and number of logits.
        activation: class of the activation of the hidden layers.
        dropout: probability that training drops a hidden feature; nothing in inference.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: type[nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        last = len(widths) - 1
        for index in range(1, last + 1):
            parts[f"linear{index}"] = nn.Linear(widths[index - 1], widths[index])
            if index != last:
                parts[f"activation{index}"] = activation()
                parts[f"dropout{index}"] = nn.Dropout(dropout)
        super().__init__(parts)
