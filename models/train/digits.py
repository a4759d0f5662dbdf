"""The digits data set of scikit-learn, and two networks that learn it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.spec.errors import ToolError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Digits", "digits_network", "digits_network_with_norm", "load_digits"]

#: Held out of the 1797 digits: a quarter, and 7 batches of 64.
HELD_OUT = 448
#: Largest value of a pixel in the data set.
WHITE = 16.0


@dataclass(frozen=True)
class Digits:
    """Handwritten digits, some to learn from and some to be asked about.

    Attributes:
        images: float32[1349, 1, 8, 8] from 0 to 1, to learn from.
        labels: int64[1349] from 0 to 9.
        held_out_images: float32[448, 1, 8, 8].
        held_out_labels: int64[448].
    """

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor


def load_digits(seed: int = 0) -> Digits:
    """The digits, split by a seed; read from the installed scikit-learn, nothing is downloaded.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", 1998, UCI
    Machine Learning Repository, https://doi.org/10.24432/C50P49, its test set of 1797 digits.

    Args:
        seed: what the split follows from; not negative.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ToolError(
            f"the digits come with scikit-learn, which cannot be imported ({error})",
            rule="scikit-learn is only in the extra 'models', because compiling does without it.",
            remedy="Install it with `pip install edgewright[models]`.",
        ) from error
    found = datasets.load_digits()
    pixels: npt.NDArray[np.float64] = found.images
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(pixels))
    images = torch.from_numpy((pixels[order, None] / WHITE).astype(np.float32))
    labels = torch.from_numpy(found.target[order].astype(np.int64))
    return Digits(images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT])


def digits_network(seed: int = 0) -> nn.Sequential:
    """Three convolutions with biases and two dense layers.

    Shapes:
        x: float32[N, 1, 8, 8];
        y: float32[N, 10].

    Args:
        seed: what the weights at the start follow from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, 16, 3, padding=1),
                activation1=nn.ReLU(),
                conv2=nn.Conv2d(16, 32, 3, padding=1),
                activation2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                conv3=nn.Conv2d(32, 32, 3, padding=1),
                activation3=nn.ReLU(),
                pool3=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                dense4=nn.Linear(32 * 2 * 2, 64),
                activation4=nn.ReLU(),
                dense5=nn.Linear(64, 10),
            )
        )


def digits_network_with_norm(seed: int = 0) -> nn.Sequential:
    """Three batch-normalised convolutions, a global average and one dense layer.

    Shapes:
        x: float32[N, 1, 8, 8];
        y: float32[N, 10].

    Args:
        seed: what the weights at the start follow from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            OrderedDict(
                block1=ConvBatchNorm(1, 16),
                block2=ConvBatchNorm(16, 32),
                pool2=nn.MaxPool2d(2),
                block3=ConvBatchNorm(32, 48),
                pool3=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dense4=nn.Linear(48, 10),
            )
        )
