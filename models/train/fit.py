"""Trains a classifier by gradient descent, momentum or Adam."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.models.train.groups import channel_groups
from edgewright.models.train.regularization import (
    regularized_weights,
    shrink_elements,
    shrink_groups,
)
from edgewright.spec.errors import UsageError

__all__ = ["METHODS", "Epoch", "Training", "accuracy", "fit", "predict"]

#: Methods with the learning rate that they take where none is given.
METHODS = {"gradient_descent": 0.3, "momentum": 0.05, "adam": 0.003}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    With gradient ``g`` of the loss (cross-entropy, mean over a batch) at step ``t`` and learning
    rate ``η``, the methods are ``torch.optim``'s:

    - ``gradient_descent``: ``w ← w - η g`` (``SGD``; Robbins and Monro, 1951);
    - ``momentum``: ``v ← 0.9 v + g``, ``w ← w - η v`` (``SGD`` with ``momentum``; Polyak, 1964,
      in the form of Sutskever et al., 2013);
    - ``adam``: ``m ← β₁ m + (1 - β₁) g``, ``v ← β₂ v + (1 - β₂) g²``,
      ``w ← w - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)``, ``β₁ = 0.9``, ``β₂ = 0.999``,
      ``ε = 1e-8`` (``Adam``; Kingma and Ba, 2014, arXiv:1412.6980, algorithm 1).

    Attributes:
        method: a key of :data:`METHODS`.
        learning_rate: ``η`` at the start; it falls to zero along half a cosine (Loshchilov and
            Hutter, 2016, arXiv:1608.03983, equation 5). None for the method's own.
        epochs: how often each sample is seen.
        batch: samples of one step.
        l1, l2, group: strengths; see :mod:`edgewright.models.train.regularization`. Group
            regularization is for networks that have learned already: small weights at the start
            would become zero before they are good for anything.
        seed: what the order of the samples follows from.

    Raises:
        UsageError: an unknown method, or a number out of range.
    """

    method: str = "adam"
    learning_rate: float | None = None
    epochs: int = 15
    batch: int = 32
    l1: float = 0.0
    l2: float = 0.0
    group: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"unknown training method '{self.method}'", rule=f"It is one of {[*METHODS]}."
            )
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"the learning rate is {self.rate}", rule="It is more than zero.")
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}", rule="It is at least 1.")
        for name in ("l1", "l2", "group", "seed"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} is {value}", rule="It is zero or more.")

    @property
    def rate(self) -> float:
        """The learning rate at the start."""
        return METHODS[self.method] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True)
class Epoch:
    """What one pass over the samples came to.

    Attributes:
        loss: mean cross-entropy, in nats, without regularization.
        zero_groups: channels whose group is zero; 0 without group regularization.
    """

    loss: float
    zero_groups: int


def fit(
    network: nn.Module, images: Tensor, labels: Tensor, training: Training | None = None
) -> list[Epoch]:
    """Train a classifier in place, and leave it in eval mode.

    The same network, samples and training give the same weights on one machine: one thread sums.

    Args:
        network: gives float32[N, classes] for a batch of images.
        images: float32[N, ...].
        labels: int64[N], the class of each.
        training: how; Adam for 15 epochs if left out.

    Returns:
        One entry for each epoch.

    Raises:
        UsageError: group regularization of a network whose channels cannot be followed.
    """
    how = training or Training()
    groups = channel_groups(network) if how.group else []
    weights = regularized_weights(network)
    optimizer = _optimizer(network, weights, how)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.epochs)
    shuffled = np.random.Generator(np.random.PCG64(how.seed))
    network.train()
    history = []
    with _one_thread():
        for _ in range(how.epochs):
            order = torch.from_numpy(shuffled.permutation(len(images)))
            (rate,) = {float(part["lr"]) for part in optimizer.param_groups}

            def shrink(rate: float = rate) -> None:
                if how.l1:
                    shrink_elements(weights, rate * how.l1)
                if how.group:
                    shrink_groups(groups, rate * how.group)

            loss = _epoch(network, images[order], labels[order], how.batch, optimizer, shrink)
            schedule.step()
            zeros = sum(int((group.norms() == 0).sum()) for group in groups)
            history.append(Epoch(loss, zeros))
    network.eval()
    return history


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """The class of each image, int64[N], by a network in eval mode."""
    with torch.no_grad():
        scores: Tensor = network(images)
    return scores.argmax(1)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose class is predicted right."""
    return float((predict(network, images) == labels).double().mean())


def _optimizer(network: nn.Module, weights: list[Tensor], how: Training) -> torch.optim.Optimizer:
    decayed = {id(weight) for weight in weights}
    free = [parameter for parameter in network.parameters() if id(parameter) not in decayed]
    parts: list[dict[str, Any]] = [{"params": weights, "weight_decay": how.l2}]
    if free:
        parts.append({"params": free})
    if how.method == "adam":
        return torch.optim.Adam(parts, lr=how.rate)
    return torch.optim.SGD(
        parts, lr=how.rate, momentum=MOMENTUM if how.method == "momentum" else 0.0
    )


def _epoch(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    batch: int,
    optimizer: torch.optim.Optimizer,
    shrink: Callable[[], None],
) -> float:
    """One pass over the samples in their order; the mean loss."""
    total = 0.0
    for first in range(0, len(images), batch):
        part, truth = images[first : first + batch], labels[first : first + batch]
        loss = nn.functional.cross_entropy(network(part), truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        shrink()
        total += float(loss.detach()) * len(part)
    return total / len(images)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums have one order, and small networks train faster, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
