"""Blocks of the reference networks against the formulas of their docstrings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgewright.models.entry import image
from edgewright.models.layers import (
    AtrousPyramid,
    Bottleneck,
    Branches,
    ConvBatchNorm,
    DeconvolutionModule,
    DenseLayer,
    DetectionHead,
    GroupedShuffleUnit,
    InvertedResidual,
    LocalResponseNorm,
    MlpConv,
    OmniScaleBlock,
    PlaceBias,
    PreActivationConv,
    ReflectConv,
    SeparableConv,
    SqueezedResidual,
    SqueezeExcitation,
    XceptionBlock,
)
from edgewright.models.seeding import seed_weights

SHAPE = (2, 8, 14, 15)
State = dict[str, Tensor]


def ready(block: nn.Module, shape: tuple[int, ...] = SHAPE) -> tuple[State, Tensor]:
    """Seeds the block's weights; its state, and an input."""
    seed_weights(block, image(*shape[1:]), 1)
    return block.state_dict(), torch.randn(shape, generator=torch.manual_seed(2))


def norm(x: Tensor, state: State, at: str, epsilon: float = 1e-5) -> Tensor:
    mean, var, gamma, beta = (
        state[f"{at}.{key}"].reshape(-1, 1, 1)
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return gamma * (x - mean) / torch.sqrt(var + epsilon) + beta


def conv_norm(x: Tensor, state: State, at: str, *, epsilon: float = 1e-5, **how: int) -> Tensor:
    """Convolution that keeps the size where its stride is 1, and batch normalisation."""
    weight = state[f"{at}.conv.weight"]
    around = how.get("dilation", 1) * (weight.shape[-1] // 2)
    y = F.conv2d(x, weight, None, how.get("stride", 1), around, how.get("dilation", 1),
                 how.get("groups", 1))  # fmt: skip
    return norm(y, state, f"{at}.norm", epsilon)


def squeeze(x: Tensor, state: State, at: str) -> Tensor:
    """Weights of the channels before the gate's last activation; ReLU between the matrices."""
    first, second = state[f"{at}.squeeze.weight"], state[f"{at}.excite.weight"]
    hidden = x.mean(dim=(2, 3)) @ first[:, :, 0, 0].T + state[f"{at}.squeeze.bias"]
    raised = hidden.relu() @ second[:, :, 0, 0].T + state[f"{at}.excite.bias"]
    return raised[:, :, None, None]


def agree(block: nn.Module, x: Tensor, expected: Tensor) -> None:
    with torch.no_grad():
        largest = float(expected.abs().max())
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5 * largest)


def test_conv_batch_norm_of_any_window() -> None:
    block = ConvBatchNorm(8, 12, (1, 7), dilation=2, epsilon=1e-3)
    state, x = ready(block)
    y = F.conv2d(x, state["conv.weight"], padding=(0, 6), dilation=2)
    agree(block, x, norm(y, state, "norm", 1e-3).relu())
    inside = ConvBatchNorm(8, 12, (4, 2), stride=2, padded=False)
    state, x = ready(inside)
    agree(inside, x, norm(F.conv2d(x, state["conv.weight"], stride=2), state, "norm").relu())
    with pytest.raises(ValueError, match=r"the kernel is \(3, 4\), but only odd ones keep"):
        ConvBatchNorm(8, 12, (3, 4))


def test_bottleneck_of_resnext() -> None:
    block = Bottleneck(8, 4, inner_channels=12, groups=3, stride=2)
    state, x = ready(block)
    y = conv_norm(x, state, "branch.reduce").relu()
    y = conv_norm(y, state, "branch.conv", stride=2, groups=3).relu()
    y = conv_norm(y, state, "branch.expand") + conv_norm(x, state, "shortcut", stride=2)
    assert y.shape == (2, 16, 7, 8)
    agree(block, x, y.relu())


def test_inverted_residual_with_dilation() -> None:
    block = InvertedResidual(8, 8, dilation=2, expansion=3)
    state, x = ready(block)
    y = conv_norm(x, state, "branch.expand").clamp(0, 6)
    y = conv_norm(y, state, "branch.depthwise", dilation=2, groups=24).clamp(0, 6)
    agree(block, x, x + conv_norm(y, state, "branch.project"))


def test_branches() -> None:
    block = Branches(near=nn.Conv2d(8, 3, 1), far=nn.MaxPool2d(1))
    state, x = ready(block)
    near = F.conv2d(x, state["branches.near.weight"], state["branches.near.bias"])
    agree(block, x, torch.cat((near, x), dim=1))


def test_local_response_norm() -> None:
    block = LocalResponseNorm(3, alpha=0.2, beta=0.5, k=1.5)
    _, x = ready(block)
    squares = F.pad(x * x, (0, 0, 0, 0, 1, 1))
    sums = squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:]
    agree(block, x, x / torch.sqrt(1.5 + 0.2 * sums))
    with pytest.raises(ValueError, match="the size is 4, but only odd ones have a middle"):
        LocalResponseNorm(4)


def test_mlp_conv() -> None:
    block = MlpConv(8, (7, 6, 5), 3)
    state, x = ready(block)
    for index in (1, 2, 3):
        padding = 1 if index == 1 else 0
        x = F.conv2d(x, state[f"conv{index}.weight"], state[f"conv{index}.bias"], padding=padding)
        x = x.relu()
    agree(block, ready(block)[1], x)


def test_pre_activation_conv_and_dense_layer() -> None:
    block = PreActivationConv(8, 6, 3)
    state, x = ready(block)
    agree(block, x, F.conv2d(norm(x, state, "norm").relu(), state["conv.weight"], padding=1))
    layer = DenseLayer(8, 4)
    state, x = ready(layer)
    y = norm(x, state, "branch.bottleneck.norm").relu()
    y = F.conv2d(y, state["branch.bottleneck.conv.weight"])
    assert y.shape[1] == 16
    y = norm(y, state, "branch.conv.norm").relu()
    y = F.conv2d(y, state["branch.conv.conv.weight"], padding=1)
    agree(layer, x, torch.cat((x, y), dim=1))


def test_squeeze_excitation() -> None:
    block = SqueezeExcitation(8, 3, gate=nn.Hardsigmoid)
    state, x = ready(block)
    weights = (squeeze(x, state, "weigh") / 6 + 0.5).clamp(0, 1)
    assert float(weights.std()) > 0.01
    agree(block, x, x * weights)


@pytest.mark.parametrize(("hidden", "stride", "out"), [(24, 1, 8), (8, 2, 8), (24, 1, 10)])
def test_squeezed_residual(hidden: int, stride: int, out: int) -> None:
    block = SqueezedResidual(
        8, hidden, out, 5, stride=stride, squeezed=4, squeeze_activation=nn.ReLU, epsilon=1e-3
    )
    state, x = ready(block)
    y = x
    if hidden != 8:
        y = F.silu(conv_norm(x, state, "branch.expand", epsilon=1e-3))
    how = {"stride": stride, "groups": hidden}
    y = F.silu(conv_norm(y, state, "branch.depthwise", epsilon=1e-3, **how))
    y = y * torch.sigmoid(squeeze(y, state, "branch.weigh.weigh"))
    y = conv_norm(y, state, "branch.project", epsilon=1e-3)
    agree(block, x, x + y if stride == 1 and out == 8 else y)


@pytest.mark.parametrize("stride", [1, 2])
def test_grouped_shuffle_unit(stride: int) -> None:
    channels, first = (9, 1) if stride == 2 else (24, 0)
    block = GroupedShuffleUnit(channels, 24, groups=3, stride=stride, first_groups=first)
    state, x = ready(block, (2, channels, 14, 15))
    y = conv_norm(x, state, "reduce", groups=first or 3).relu()
    y = y[:, [0, 2, 4, 1, 3, 5]]  # of groups (0 1) (2 3) (4 5), the firsts, then the seconds
    y = conv_norm(y, state, "depthwise", stride=stride, groups=6)
    y = conv_norm(y, state, "expand", groups=3)
    pooled = F.avg_pool2d(x, 3, 2, 1)
    agree(block, x, (x + y if stride == 1 else torch.cat((pooled, y), dim=1)).relu())
    with pytest.raises(ValueError, match="adds the 8 channels, it cannot make 24"):
        GroupedShuffleUnit(8, 24, groups=3)


def separable(x: Tensor, state: State, at: str) -> Tensor:
    y = F.conv2d(x, state[f"{at}depthwise.weight"], padding=1, groups=x.shape[1])
    return conv_norm(y, state, f"{at}pointwise")


def test_separable_conv() -> None:
    block = SeparableConv(8, 12)
    state, x = ready(block)
    agree(block, x, separable(x, state, "").relu())


@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("starts_active", [True, False])
def test_xception_block(halves: bool, starts_active: bool) -> None:
    block = XceptionBlock(8, (6, 8), halves=halves, starts_active=starts_active)
    state, x = ready(block)
    y = separable(x.relu() if starts_active else x, state, "branch.separable1.")
    y = separable(y.relu(), state, "branch.separable2.")
    if halves:
        y = F.max_pool2d(y, 3, 2, 1) + conv_norm(x, state, "shortcut", stride=2)
        assert y.shape == (2, 8, 7, 8)
    else:
        y = x + y
    agree(block, x, y)


def test_place_bias() -> None:
    block = PlaceBias(14 * 15)
    state, x = ready(block, (2, 1, 14, 15))
    assert float(state["bias"].std()) > 0.05
    agree(block, x, x.reshape(2, -1) + state["bias"])


@pytest.mark.parametrize("out", [64, 128])
def test_omni_scale_block(out: int) -> None:
    block = OmniScaleBlock(64, out)
    state, x = ready(block, (2, 64, 14, 15))
    reduced = conv_norm(x, state, "reduce").relu()
    total = torch.zeros_like(reduced)
    for index in range(4):
        y = reduced
        for step in range(index + 1):
            y = F.conv2d(y, state[f"chains.{index}.{step}.pointwise.weight"])
            at = f"chains.{index}.{step}.depthwise"
            y = conv_norm(y, state, at, groups=y.shape[1]).relu()
        total += y * torch.sigmoid(squeeze(y, state, "gate.weigh"))
    added = conv_norm(x, state, "shortcut") if out != 64 else x
    agree(block, x, (added + conv_norm(total, state, "expand")).relu())


def test_reflect_conv() -> None:
    block = ReflectConv(8, 6, 5, stride=2)
    state, x = ready(block)
    mirrored = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), "reflect"))
    y = F.conv2d(mirrored, state["conv.weight"], state["conv.bias"], stride=2)
    mean, variance = y.mean(dim=(2, 3), keepdim=True), y.var(dim=(2, 3), correction=0, keepdim=True)
    y = (y - mean) / torch.sqrt(variance + 1e-5)
    scale, shift = (state[f"norm.{key}"].reshape(-1, 1, 1) for key in ("weight", "bias"))
    agree(block, x, (scale * y + shift).relu())
    plain = ReflectConv(8, 6, 5, normalized=False, activated=False)
    state, x = ready(plain)
    agree(plain, x, F.conv2d(mirrored, state["conv.weight"], state["conv.bias"]))


def test_atrous_pyramid() -> None:
    block = AtrousPyramid(8, 5, (2, 3))
    state, x = ready(block)
    parts = [conv_norm(x, state, "single").relu()]
    for index, rate in enumerate((2, 3)):
        parts.append(conv_norm(x, state, f"dilated.{index}", dilation=rate).relu())
    mean = conv_norm(x.mean(dim=(2, 3), keepdim=True), state, "image.conv").relu()
    parts.append(mean * torch.ones(1, 1, 14, 15))
    agree(block, x, conv_norm(torch.cat(parts, dim=1), state, "project").relu())


def test_deconvolution_module() -> None:
    block = DeconvolutionModule(8, 4, 6)
    seed_weights(block, (*image(8, 7, 8), *image(4, 14, 16)), 1)
    state = block.state_dict()
    generator = torch.manual_seed(2)
    coarse = torch.randn((2, 8, 7, 8), generator=generator)
    fine = torch.randn((2, 4, 14, 16), generator=generator)
    weight = state["enlarge.deconv.weight"]
    large = torch.einsum("nchw,cors->nohrws", coarse, weight).reshape(2, 6, 14, 16)
    large = large + state["enlarge.deconv.bias"].reshape(-1, 1, 1)
    large = conv_norm(large, state, "enlarge.conv")
    refined = conv_norm(conv_norm(fine, state, "refine.first").relu(), state, "refine.second")
    with torch.no_grad():
        actual = block(coarse, fine)
    torch.testing.assert_close(actual, (large * refined).relu(), rtol=1e-4, atol=1e-5)


def test_detection_head() -> None:
    block = DetectionHead(8, 12, anchors=3, classes=5)
    state, x = ready(block)
    y = conv_norm(x, state, "residual.reduce").relu()
    y = conv_norm(y, state, "residual.conv").relu()
    y = (conv_norm(y, state, "residual.expand") + conv_norm(x, state, "shortcut")).relu()
    with torch.no_grad():
        logits, boxes = block(x)
    assert logits.shape == (2, 14 * 15 * 3, 5) and boxes.shape == (2, 14 * 15 * 3, 4)
    for given, at, width in ((logits, "classify", 5), (boxes, "locate", 4)):
        maps = F.conv2d(y, state[f"{at}.weight"], state[f"{at}.bias"], padding=1)
        for h, w, anchor in ((0, 0, 0), (3, 11, 2), (13, 14, 1)):
            row = given[:, (h * 15 + w) * 3 + anchor]
            expected = maps[:, anchor * width : (anchor + 1) * width, h, w]
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)
