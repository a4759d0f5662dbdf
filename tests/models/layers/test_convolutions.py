"""Convolutions against the formulas of their docstrings, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgewright.models.layers.channel_wise_convolution import ChannelWise
from edgewright.models.layers.irregular_convolution import Irregular
from edgewright.models.layers.pointwise_grouped_convolution import shuffle_channels
from tests.models.layers.formulas import Array, agree, between, convolve, given, sigmoid


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("standard_convolution", {"padding": (1, 1)}),
        ("pointwise_convolution", {}),
        ("dilated_convolution", {"padding": (2, 3), "dilation": (2, 3)}),
        ("grouped_convolution", {"stride": (2, 2), "padding": (1, 1), "groups": 3}),
    ],
)
def test_plain_convolutions(name: str, window: dict[str, tuple[int, int] | int]) -> None:
    case = given(name)
    kernel, bias = case.state["weight"], case.state["bias"]
    agree(case.outputs[0], convolve(case.x, kernel, bias, **window))  # type: ignore[arg-type]


def test_mlp_convolution() -> None:
    case = given("mlp_convolution")
    y = case.x
    for at, padding in (("conv1", 2), ("conv2", 0), ("conv3", 0)):
        kernel, bias = case.state[f"{at}.weight"], case.state[f"{at}.bias"]
        assert kernel.shape[2] == 2 * padding + 1
        y = relu(convolve(y, kernel, bias, padding=(padding, padding)))
    agree(case.outputs[0], y)


def test_depthwise_separable_convolution() -> None:
    case = given("depthwise_separable_convolution")
    y = case.x
    for at, stride, groups in (("depthwise", 2, 10), ("pointwise", 1, 1)):
        kernel = case.state[f"{at}.conv.weight"]
        pad = kernel.shape[2] // 2
        y = convolve(y, kernel, stride=(stride, stride), padding=(pad, pad), groups=groups)
        mean, variance, scale, shift = (
            case.state[f"{at}.norm.{key}"][:, None, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        y = relu(scale * (y - mean) / np.sqrt(variance + 1e-5) + shift)
    agree(case.outputs[0], y)


@pytest.mark.parametrize(
    ("name", "stride", "groups", "extents"),
    [
        ("transposed_convolution", (2, 3), 1, (14, 25)),
        ("grouped_transposed_convolution", (2, 2), 3, (14, 18)),
    ],
)
def test_transposed_convolutions(
    name: str, stride: tuple[int, int], groups: int, extents: tuple[int, int]
) -> None:
    case = given(name)
    kernel, bias = case.state["weight"], case.state["bias"]
    batch, channels, height, width = case.x.shape
    ins, outs = channels // groups, kernel.shape[1]
    y = np.zeros((batch, groups * outs, *extents)) + bias[:, None, None]
    for h, w, r, s in np.ndindex(height, width, *kernel.shape[2:]):
        row, column = stride[0] * h + r - 1, stride[1] * w + s - 1
        if 0 <= row < extents[0] and 0 <= column < extents[1]:
            for g in range(groups):
                of_x = slice(g * ins, (g + 1) * ins)
                added = case.x[:, of_x, h, w] @ kernel[of_x, :, r, s]
                y[:, g * outs : (g + 1) * outs, row, column] += added
    agree(case.outputs[0], y)


def test_convolution_1d() -> None:
    case = given("convolution_1d")
    y = convolve(
        case.x[:, :, None],
        case.state["weight"][:, :, None],
        case.state["bias"],
        stride=(1, 2),
        padding=(0, 2),
    )
    agree(case.outputs[0], y[:, :, 0])


def test_convolution_3d() -> None:
    case = given("convolution_3d")
    kernel = case.state["weight"]
    y = np.zeros((2, 5, 6, 4, 8)) + case.state["bias"][:, None, None, None]
    for d, q in np.ndindex(6, 3):
        if 0 <= d + q - 1 < 6:
            x = case.x[:, :, d + q - 1]
            y[:, :, d] += convolve(x, kernel[:, :, q], stride=(2, 1), padding=(0, 1))
    agree(case.outputs[0], y)


def test_pointwise_grouped_convolution() -> None:
    case = given("pointwise_grouped_convolution")
    reduced, depthwise, expand = (
        (case.state[f"{at}.weight"], case.state[f"{at}.bias"])
        for at in ("reduce", "depthwise", "expand")
    )
    y = relu(convolve(case.x, *reduced, groups=3))
    # Three groups of four: channel 3 i + g comes from channel i of group g, 4 g + i.
    y = y[:, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    y = convolve(y, *depthwise, padding=(1, 1), groups=12)
    agree(case.outputs[0], convolve(y, *expand, groups=3))


def test_shuffling_by_both_factors_restores_the_order() -> None:
    x = torch.arange(24.0).reshape(1, 12, 2, 1)
    assert not torch.equal(shuffle_channels(x, 3), x)
    assert torch.equal(shuffle_channels(shuffle_channels(x, 3), 4), x)


def test_flattened_convolution() -> None:
    case = given("flattened_convolution")
    lateral, vertical, horizontal = (
        case.state[f"{at}.weight"] for at in ("lateral", "vertical", "horizontal")
    )
    assert vertical.shape == (13, 1, 5, 1) and horizontal.shape == (13, 1, 1, 5)
    # Zeros around the image stay zeros after the first two, so one window does what the three do.
    vectors = lateral[:, :, 0, 0], vertical[:, 0, :, 0], horizontal[:, 0, 0]
    product = np.einsum("oi,or,os->oirs", *vectors)
    agree(case.outputs[0], convolve(case.x, product, case.state["horizontal.bias"], padding=(2, 2)))


def test_asymmetric_convolution() -> None:
    case = given("asymmetric_convolution")
    assert case.state["row.weight"].shape[2:] == (1, 7)
    y = relu(convolve(case.x, case.state["row.weight"], case.state["row.bias"], padding=(0, 3)))
    y = convolve(y, case.state["column.weight"], case.state["column.bias"], padding=(3, 0))
    agree(case.outputs[0], y)


def test_channel_wise_convolution() -> None:
    case = given("channel_wise_convolution")
    kernel, bias = case.state["conv.weight"][:, 0, :, 0], case.state["conv.bias"]
    y = np.zeros_like(case.x)
    for g, c in np.ndindex(3, 8):
        y[:, 8 * g + c] = bias[g]
        for r in range(9):
            if 0 <= 3 * c + r - 3 < 24:
                y[:, 8 * g + c] += case.x[:, 3 * c + r - 3] * kernel[g, r]
    agree(case.outputs[0], y)


def test_channel_wise_convolution_refuses_what_it_cannot_centre() -> None:
    with pytest.raises(ValueError, match="24 channels are not divided by 5 groups"):
        ChannelWise(24, 9, 5)
    for kernel in (8, 1):
        with pytest.raises(ValueError, match=f"{kernel} channels cannot be centred on a step of 3"):
            ChannelWise(24, kernel, 3)


def test_irregular_convolution() -> None:
    case = given("irregular_convolution")
    taps, moves, bias = (case.state[key] for key in ("taps", "moves", "bias"))
    h, w = np.indices(case.x.shape[2:])
    y = np.zeros(case.outputs[0].shape) + bias[:, None, None]
    for o, t in np.ndindex(8, 9):
        right, down = t % 3 - 1 + moves[9 * o + t, 1], t // 3 - 1 + moves[9 * o + t, 0]
        seen = between(case.x, h + np.clip(down, -2, 2), w + np.clip(right, -2, 2))
        y[:, o] += np.einsum("nihw,i->nhw", seen, taps[o, :, t])
    agree(case.outputs[0], y)


def test_irregular_taps_differ_between_channels_and_stay_in_reach() -> None:
    layer = given("irregular_convolution").layer
    assert isinstance(layer, Irregular)
    places = layer.places().detach()
    assert float(places.abs().max()) == 2.0
    assert float(places.std(dim=0).min()) > 0.1


@pytest.mark.parametrize("modulated", [False, True])
def test_deformable_convolutions(modulated: bool) -> None:
    case = given("modulated_deformable_convolution" if modulated else "deformable_convolution")
    told = convolve(
        case.x, case.state["offsets.weight"], case.state["offsets.bias"], padding=(1, 1)
    )
    assert np.abs(told[:, :18]).max() > 2
    kernel = case.state["mix.weight"].reshape(case.outputs[0].shape[1], -1, 9)
    h, w = np.indices(case.x.shape[2:])
    y = np.zeros(case.outputs[0].shape) + case.state["mix.bias"][:, None, None]
    for n, t in np.ndindex(2, 9):
        row, column = h + t // 3 - 1 + told[n, 2 * t], w + t % 3 - 1 + told[n, 2 * t + 1]
        seen = between(case.x[n], row, column)
        if modulated:
            seen = seen * sigmoid(told[n, 18 + t])
        y[n] += np.einsum("ihw,oi->ohw", seen, kernel[:, :, t])
    agree(case.outputs[0], y)
