"""Blocks against the formulas of their docstrings, written out with functional operators."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgewright.models.entry import image
from edgewright.models.layers import (
    BasicBlock,
    Bottleneck,
    ConvBatchNorm,
    ConvHead,
    DenseHead,
    DepthwiseSeparable,
    Fire,
    Inception,
    InvertedResidual,
    PooledHead,
    ShuffleUnit,
)
from edgewright.models.seeding import seed_weights

SHAPE = (2, 8, 14, 15)


def ready(block: nn.Module) -> tuple[nn.Module, dict[str, Tensor], Tensor]:
    """The block with seeded weights, its state, and an input."""
    seed_weights(block, image(*SHAPE[1:]), 1)
    return block, block.state_dict(), torch.randn(SHAPE, generator=torch.manual_seed(2))


def conv_norm(x: Tensor, state: dict[str, Tensor], at: str, stride: int, groups: int = 1) -> Tensor:
    """Convolution and batch normalisation, by the formula."""
    weight = state[at + "conv.weight"]
    y = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    mean, var, gamma, beta = (
        state[f"{at}norm.{key}"].reshape(-1, 1, 1)
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return gamma * (y - mean) / torch.sqrt(var + 1e-5) + beta


def agree(block: nn.Module, x: Tensor, expected: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
def test_conv_batch_norm(stride: int, groups: int) -> None:
    block, state, x = ready(ConvBatchNorm(8, 12, 5, stride=stride, groups=groups))
    expected = conv_norm(x, state, "", stride, groups).relu()
    assert expected.shape == (2, 12, -(-14 // stride), -(-15 // stride))
    agree(block, x, expected)


def test_conv_batch_norm_without_activation() -> None:
    block, state, x = ready(ConvBatchNorm(8, 12, activation=None))
    agree(block, x, conv_norm(x, state, "", 1))
    with pytest.raises(ValueError, match="the kernel is 2"):
        ConvBatchNorm(8, 8, 2)


def test_depthwise_separable() -> None:
    block, state, x = ready(DepthwiseSeparable(8, 12, stride=2))
    hidden = conv_norm(x, state, "depthwise.", 2, groups=8).relu()
    agree(block, x, conv_norm(hidden, state, "pointwise.", 1).relu())


@pytest.mark.parametrize(
    ("out_channels", "stride", "expansion", "adds"),
    [(8, 1, 6, True), (8, 1, 1, True), (8, 2, 6, False), (12, 1, 6, False)],
)
def test_inverted_residual(out_channels: int, stride: int, expansion: int, adds: bool) -> None:
    block, state, x = ready(InvertedResidual(8, out_channels, stride=stride, expansion=expansion))
    hidden = x
    if expansion != 1:
        hidden = F.relu6(conv_norm(hidden, state, "branch.expand.", 1))
    groups = 8 * expansion
    hidden = F.relu6(conv_norm(hidden, state, "branch.depthwise.", stride, groups))
    projected = conv_norm(hidden, state, "branch.project.", 1)
    agree(block, x, x + projected if adds else projected)


@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 1), (8, 2)])
def test_basic_block(out_channels: int, stride: int) -> None:
    block, state, x = ready(BasicBlock(8, out_channels, stride=stride))
    hidden = conv_norm(x, state, "branch.first.", stride).relu()
    hidden = conv_norm(hidden, state, "branch.second.", 1)
    same = out_channels == 8 and stride == 1
    shortcut = x if same else conv_norm(x, state, "shortcut.", stride)
    agree(block, x, (hidden + shortcut).relu())


@pytest.mark.parametrize(("channels", "stride"), [(2, 1), (3, 1), (2, 2)])
def test_bottleneck(channels: int, stride: int) -> None:
    block, state, x = ready(Bottleneck(8, channels, stride=stride))
    hidden = conv_norm(x, state, "branch.reduce.", 1).relu()
    hidden = conv_norm(hidden, state, "branch.conv.", stride).relu()
    hidden = conv_norm(hidden, state, "branch.expand.", 1)
    same = channels == 2 and stride == 1
    shortcut = x if same else conv_norm(x, state, "shortcut.", stride)
    assert hidden.shape == (2, 4 * channels, 14 // stride, -(-15 // stride))
    agree(block, x, (hidden + shortcut).relu())


def interleaved(first: Tensor, second: Tensor) -> Tensor:
    """Channels of both in turn."""
    y = torch.empty(first.shape[0], 2 * first.shape[1], *first.shape[2:])
    y[:, 0::2] = first
    y[:, 1::2] = second
    return y


def transformed(x: Tensor, state: dict[str, Tensor], stride: int, half: int) -> Tensor:
    hidden = conv_norm(x, state, "transform.first.", 1).relu()
    hidden = conv_norm(hidden, state, "transform.depthwise.", stride, groups=half)
    return conv_norm(hidden, state, "transform.last.", 1).relu()


def test_shuffle_unit() -> None:
    block, state, x = ready(ShuffleUnit(8, 8))
    agree(block, x, interleaved(x[:, :4], transformed(x[:, 4:], state, 1, 4)))


@pytest.mark.parametrize("out_channels", [8, 12])
def test_shuffle_unit_with_a_stride(out_channels: int) -> None:
    block, state, x = ready(ShuffleUnit(8, out_channels, stride=2))
    shortcut = conv_norm(x, state, "shortcut.depthwise.", 2, groups=8)
    shortcut = conv_norm(shortcut, state, "shortcut.pointwise.", 1).relu()
    assert shortcut.shape == (2, out_channels // 2, 7, 8)
    agree(block, x, interleaved(shortcut, transformed(x, state, 2, out_channels // 2)))


def test_shuffle_unit_refuses_channels_without_halves() -> None:
    with pytest.raises(ValueError, match="9 channels have no halves"):
        ShuffleUnit(8, 9, stride=2)
    with pytest.raises(ValueError, match="keeps the 8 channels, it cannot make 12"):
        ShuffleUnit(8, 12)


@pytest.mark.parametrize("wide_kernel", [3, 5])
def test_inception(wide_kernel: int) -> None:
    block, state, x = ready(Inception(8, 3, (4, 5), (2, 6), 7, wide_kernel=wide_kernel))
    assert state["wide.conv.conv.weight"].shape == (6, 2, wide_kernel, wide_kernel)
    middle, wide = (
        conv_norm(conv_norm(x, state, f"{at}.reduce.", 1).relu(), state, f"{at}.conv.", 1).relu()
        for at in ("middle", "wide")
    )
    pooled = conv_norm(F.max_pool2d(x, 3, 1, 1), state, "pooled.project.", 1).relu()
    single = conv_norm(x, state, "single.", 1).relu()
    agree(block, x, torch.cat((single, middle, wide, pooled), dim=1))


def test_fire() -> None:
    block, state, x = ready(Fire(8, 3, 5, 6))
    squeezed = F.conv2d(x, state["squeeze.weight"], state["squeeze.bias"]).relu()
    small = F.conv2d(squeezed, state["expand1x1.weight"], state["expand1x1.bias"]).relu()
    large = F.conv2d(squeezed, state["expand3x3.weight"], state["expand3x3.bias"], padding=1).relu()
    agree(block, x, torch.cat((small, large), dim=1))


def test_pooled_head() -> None:
    block, state, x = ready(PooledHead(8, 5, dropout=0.5))
    agree(block, x, x.mean(dim=(2, 3)) @ state["linear.weight"].T + state["linear.bias"])


def test_conv_head() -> None:
    block, state, x = ready(ConvHead(8, 5, dropout=0.5))
    maps = torch.einsum("nchw,oc->nohw", x, state["conv.weight"][:, :, 0, 0])
    agree(block, x, (maps + state["conv.bias"].reshape(-1, 1, 1)).relu().mean(dim=(2, 3)))


def test_dense_head() -> None:
    block, state, x = ready(DenseHead((8 * 14 * 15, 7, 5), activation=nn.Tanh, dropout=0.5))
    hidden = torch.tanh(x.flatten(1) @ state["linear1.weight"].T + state["linear1.bias"])
    agree(block, x, hidden @ state["linear2.weight"].T + state["linear2.bias"])
