"""Normalizations against the formulas of their docstrings, written out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.layers.formulas import Array, Case, agree, given


def scaled(case: Case, x: Array, mean: Array, variance: Array) -> Array:
    """Over axis 1."""
    scale, shift = (case.state[key].reshape(-1, 1, 1) for key in ("weight", "bias"))
    return np.asarray(scale * (x - mean) / np.sqrt(variance + 1e-5) + shift)


def running(case: Case) -> tuple[Array, Array]:
    mean, variance = case.state["running_mean"], case.state["running_var"]
    # Statistics of 0 and 1 would show nothing.
    assert mean.std() > 0.05 and variance.std() > 0.05
    return mean.reshape(-1, 1, 1), variance.reshape(-1, 1, 1)


def test_batch_normalization() -> None:
    case = given("batch_normalization")
    agree(case.outputs[0], scaled(case, case.x, *running(case)))


def test_layer_normalization() -> None:
    case = given("layer_normalization")
    y = np.empty_like(case.x)
    for n, t in np.ndindex(2, 9):
        place = case.x[n, t]
        centred = (place - place.mean()) / np.sqrt(place.var() + 1e-5)
        y[n, t] = case.state["weight"] * centred + case.state["bias"]
    agree(case.outputs[0], y)


@pytest.mark.parametrize(
    ("name", "size"), [("instance_normalization", 1), ("group_normalization", 4)]
)
def test_instance_and_group_normalization(name: str, size: int) -> None:
    case = given(name)
    y = np.empty_like(case.x)
    for n, g in np.ndindex(2, case.x.shape[1] // size):
        at = (n, slice(g * size, (g + 1) * size))
        group = case.x[at]
        scale, shift = (case.state[key][at[1], None, None] for key in ("weight", "bias"))
        y[at] = scale * (group - group.mean()) / np.sqrt(group.var() + 1e-5) + shift
    agree(case.outputs[0], y)


def test_switchable_normalization() -> None:
    case = given("switchable_normalization")
    shares = np.exp(case.state["shares.logits"])
    shares /= shares.sum(axis=1, keepdims=True)
    # Shares of a third each would not show which is whose.
    assert np.abs(shares - 1 / 3).max() > 0.05
    y = np.empty_like(case.x)
    of_batch = running(case)
    for n, image in enumerate(case.x):
        means = (image.mean(axis=(1, 2))[:, None, None], image.mean(), of_batch[0])
        variances = (image.var(axis=(1, 2))[:, None, None], image.var(), of_batch[1])
        mean = sum(share * value for share, value in zip(shares[0], means, strict=True))
        variance = sum(share * value for share, value in zip(shares[1], variances, strict=True))
        y[n] = scaled(case, image, np.asarray(mean), np.asarray(variance))
    agree(case.outputs[0], y)


def test_local_response_normalization() -> None:
    case = given("local_response_normalization")
    y = np.empty_like(case.x)
    for c in range(13):
        near = case.x[:, max(c - 2, 0) : c + 3]
        y[:, c] = case.x[:, c] / (1 + 0.1 * (near**2).sum(axis=1)) ** 0.75
    agree(case.outputs[0], y)
    assert np.abs(y / case.x).mean() < 0.8
