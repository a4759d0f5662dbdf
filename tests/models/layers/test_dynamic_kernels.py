"""Convolutions whose kernels depend on the input, against their formulas, image by image."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.layers.formulas import Array, agree, convolve, given, run, sigmoid

BATCHES = (1, 3)


def linear(x: Array, state: dict[str, Array], at: str) -> Array:
    return np.asarray(state[f"{at}.weight"] @ x + state[f"{at}.bias"])


@pytest.mark.parametrize("batch", BATCHES)
def test_conditional_convolution(batch: int) -> None:
    case = given("conditional_convolution", batch)
    state = dict(case.state)
    assert state["experts"].shape == (4, 10, 6, 3, 3)
    for image, actual in zip(case.x, case.outputs[0], strict=True):
        routing = sigmoid(linear(image.mean(axis=(1, 2)), state, "routing"))
        kernel = sum(r * expert for r, expert in zip(routing, state["experts"], strict=True))
        agree(actual[None], convolve(image[None], np.asarray(kernel), padding=(1, 1)))


@pytest.mark.parametrize("batch", BATCHES)
def test_dynamic_convolution(batch: int) -> None:
    case = given("dynamic_convolution", batch)
    state = dict(case.state)
    for image, actual in zip(case.x, case.outputs[0], strict=True):
        hidden = np.maximum(linear(image.mean(axis=(1, 2)), state, "squeeze"), 0)
        shares = np.exp(linear(hidden, state, "excite"))
        shares /= shares.sum()
        # By linearity the outputs of the kernels may be mixed, in place of the kernels.
        outputs = [
            share * convolve(image[None], kernel, bias, padding=(1, 1))
            for share, kernel, bias in zip(shares, state["kernels"], state["biases"], strict=True)
        ]
        agree(actual[None], np.sum(outputs, axis=0))


@pytest.mark.parametrize("batch", BATCHES)
def test_dynet_convolution(batch: int) -> None:
    case = given("dynet_convolution", batch)
    state = dict(case.state)
    assert state["kernels"].shape == (8, 3, 7, 3, 3)
    for image, actual in zip(case.x, case.outputs[0], strict=True):
        told = sigmoid(linear(image.mean(axis=(1, 2)), state, "coefficients"))
        for o, kernels in enumerate(state["kernels"]):
            kernel = sum(told[3 * o + g] * kernels[g] for g in range(3))
            expected = convolve(image[None], np.asarray(kernel)[None], padding=(1, 1))
            agree(actual[o], expected[0, 0])


@pytest.mark.parametrize(
    "name", ["conditional_convolution", "dynamic_convolution", "dynet_convolution"]
)
def test_kernels_depend_on_the_image(name: str) -> None:
    case = given(name, 1)
    x = case.x.astype(np.float32)
    (zero,), (twice,) = run(case.layer, 0 * x), run(case.layer, 2 * x)
    # With a fixed kernel the output would be affine in the input.
    affine = 2 * case.outputs[0] - zero
    assert np.abs(twice - affine).max() > 0.01 * np.abs(twice).max()
