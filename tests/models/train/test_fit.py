"""Training: the methods' formulas step by step, and what is learned."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.models.train.digits import digits_network
from edgewright.models.train.fit import METHODS, Training, accuracy, fit, predict
from edgewright.models.train.groups import channel_groups
from edgewright.spec.errors import UsageError
from tests.trained_digits import NAMES, digits, sparse_network, trained_network

EPOCHS, RATE = 4, 0.1


def small_problem() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """One dense layer in float64, and five samples, which are one batch."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2)).double()
    return network, torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1])


def gradient(w: Any, b: Any, x: Any, labels: Any) -> tuple[Any, Any]:
    """Of the mean cross-entropy: (softmax - one-hot)ᵀ x / N."""
    scores = x @ w.T + b
    share = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    share[np.arange(len(x)), labels] -= 1
    return share.T @ x / len(x), share.mean(0)


def by_hand(method: str, how: Training) -> tuple[Any, Any]:
    """Weights and biases after the epochs, by the formulas in Training's docstring."""
    network, images, labels = small_problem()
    layer: Any = network[0]
    values = [layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()]
    first = [np.zeros_like(value) for value in values]
    second = [np.zeros_like(value) for value in values]
    for t in range(1, EPOCHS + 1):
        rate = RATE * (1 + math.cos(math.pi * (t - 1) / EPOCHS)) / 2
        for i, g in enumerate(gradient(*values, images.numpy(), labels.numpy())):
            g = g + (how.l2 * values[i] if i == 0 else 0)
            if method == "gradient_descent":
                step = g
            elif method == "momentum":
                step = first[i] = 0.9 * first[i] + g
            else:
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g * g
                step = (first[i] / (1 - 0.9**t)) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
            values[i] = values[i] - rate * step
        values[0] = np.sign(values[0]) * np.maximum(np.abs(values[0]) - rate * how.l1, 0)
    return values[0], values[1]


@pytest.mark.parametrize("strengths", [{}, {"l2": 0.3}, {"l1": 0.2}], ids=["none", "l2", "l1"])
@pytest.mark.parametrize("method", METHODS)
def test_steps_follow_the_formulas(method: str, strengths: dict[str, float]) -> None:
    how = Training(method, learning_rate=RATE, epochs=EPOCHS, batch=5, **strengths)
    network, images, labels = small_problem()
    history = fit(network, images, labels, how)
    weights, biases = by_hand(method, how)
    layer: Any = network[0]
    np.testing.assert_allclose(layer.weight.detach().numpy(), weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.bias.detach().numpy(), biases, rtol=1e-9, atol=1e-12)
    assert len(history) == EPOCHS and not network.training


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_digits(method: str) -> None:
    network = digits_network()
    history = fit(network, digits().images, digits().labels, Training(method, epochs=10))
    assert history[-1].loss < 0.3 * history[0].loss
    assert accuracy(network, digits().held_out_images, digits().held_out_labels) > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_held_out_digits_are_recognised(name: str) -> None:
    for network in (trained_network(name), sparse_network(name)):
        assert accuracy(network, digits().held_out_images, digits().held_out_labels) > 0.96


def test_the_seed_decides_every_weight() -> None:
    results = []
    for seed in (0, 0, 1):
        network = digits_network()
        how = Training(epochs=1, seed=seed)
        losses = fit(network, digits().images[:256], digits().labels[:256], how)
        results.append((losses, copy.deepcopy(network.state_dict())))
    (losses, first), (again, second), (_, other) = results
    assert losses == again
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_training_leaves_torch_as_it_was() -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    fit(digits_network(), digits().images[:64], digits().labels[:64], Training(epochs=1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_strengths_do_what_they_are_for() -> None:
    def trained(**strengths: float) -> tuple[float, int, int]:
        network = digits_network()
        how = Training("gradient_descent", epochs=2, **strengths)
        zeros = fit(network, digits().images[:512], digits().labels[:512], how)[-1].zero_groups
        weights = torch.cat([p.detach().flatten() for p in network.parameters() if p.ndim > 1])
        return float(weights.square().mean()), int((weights == 0).sum()), zeros

    size, zeros, groups = trained()
    assert zeros == 0 and groups == 0
    assert trained(l2=0.02)[0] < 0.8 * size
    assert trained(l1=0.005)[1] > 4000
    assert trained(group=0.005)[2] > 10


def test_zero_groups_are_counted() -> None:
    network = copy.deepcopy(sparse_network("plain"))
    zeros = sum(int((group.norms() == 0).sum()) for group in channel_groups(network))
    how = Training("gradient_descent", learning_rate=1e-9, epochs=1, group=1e-9)
    assert fit(network, digits().images[:8], digits().labels[:8], how)[0].zero_groups == zeros > 0


def test_predictions_are_the_largest_scores() -> None:
    network = nn.Sequential(nn.Identity())
    scores = torch.tensor([[0.0, 2, 1], [5, 4, 3]])
    assert predict(network, scores).tolist() == [1, 0]
    assert accuracy(network, scores, torch.tensor([1, 2])) == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "newton"}, "unknown training method 'newton'.*adam"),
        ({"learning_rate": 0.0}, "the learning rate is 0.0"),
        ({"learning_rate": math.nan}, "the learning rate is nan"),
        ({"epochs": 0}, "epochs is 0. It is at least 1"),
        ({"batch": 0}, "batch is 0"),
        ({"l1": -1.0}, "l1 is -1.0. It is zero or more"),
        ({"group": math.inf}, "group is inf"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Training(**change)
