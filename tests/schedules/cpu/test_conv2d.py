from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from edgewright.schedules.cpu import conv2d_depthwise, conv2d_direct
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig, Geometry
from edgewright.schedules.kernel import Declined, Kernel, Limits
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.schedules import references
from tests.schedules.emulation import Launch, run_emulated
from tests.schedules.execution import (
    F32,
    F64,
    TARGETS,
    assert_close,
    blocked,
    each_target,
    examples,
    plain,
    run,
)
from tests.schedules.strategies import ACTIVATIONS, convolutions, depthwise, repeatable

Arrays = tuple[F32, F32, F32, F32]


def arrays(w: Conv2dWorkload) -> Arrays:
    rng = np.random.default_rng(w.in_channels * 1000 + w.out_channels)

    def normal(*shape: int) -> F32:
        return rng.standard_normal(shape).astype(np.float32)

    return (
        normal(w.batch, w.in_channels, w.in_h, w.in_w),
        normal(w.out_channels, w.in_channels // w.groups, w.kernel_h, w.kernel_w),
        normal(w.out_channels),
        normal(w.batch, w.out_channels, w.out_h, w.out_w),
    )


def problem(
    kernel: Kernel, w: Conv2dWorkload, target: Target, nchw: bool = False
) -> tuple[Launch, F64]:
    """A convolution kernel on random tensors, and what PyTorch makes of them in float64."""
    lanes = target.isa.vec_lanes
    x, weights, bias, residual = arrays(w)
    assert kernel.pack_weights is not None
    inputs = [x if nchw else blocked(x, lanes), kernel.pack_weights(weights)]
    if w.epilogue.bias:
        assert kernel.pack_bias is not None
        inputs.append(kernel.pack_bias(bias))
    if w.epilogue.residual:
        inputs.append(blocked(residual, lanes))
    out_shape = (w.batch, math.ceil(w.out_channels / lanes), w.out_h, w.out_w, lanes)
    expected = references.conv2d(w, x, weights, bias, residual)
    return Launch(kernel, inputs, out_shape), expected


def compare(w: Conv2dWorkload, y: F32, expected: F64) -> None:
    terms = w.in_channels // w.groups * w.kernel_h * w.kernel_w
    assert_close(plain(y, w.out_channels), expected, terms)


def check(kernel: Kernel, w: Conv2dWorkload, target: Target, *, nchw: bool = False) -> None:
    """Runs a convolution kernel on this machine."""
    launch, expected = problem(kernel, w, target, nchw)
    misalign = [4] if nchw else []
    compare(w, run(kernel, target, launch.inputs, launch.out_shape, misalign=misalign), expected)


def direct(w: Conv2dWorkload, target: Target, layout: str = "blocked") -> Kernel:
    answer = conv2d_direct.offer(w, target, Limits(), layout)
    assert not isinstance(answer, Declined), answer
    return answer.build()


@each_target
def test_direct_convolution_of_any_shape(target: Target) -> None:
    @repeatable(examples(target, 36))
    @given(w=convolutions())
    def holds(w: Conv2dWorkload) -> None:
        if w.is_depthwise and w.in_channels == w.out_channels:
            return
        check(direct(w, target), w, target)

    holds()


@each_target
def test_direct_convolution_of_a_plain_input_at_an_odd_address(target: Target) -> None:
    @repeatable(examples(target, 15))
    @given(w=convolutions())
    def holds(w: Conv2dWorkload) -> None:
        if w.groups == 1:
            check(direct(w, target, "NCHW"), w, target, nchw=True)

    holds()


@each_target
def test_depthwise_convolution_of_any_shape(target: Target) -> None:
    @repeatable(examples(target, 30))
    @given(w=depthwise())
    def holds(w: Conv2dWorkload) -> None:
        answer = conv2d_depthwise.offer(w, target, Limits(), "blocked")
        assert not isinstance(answer, Declined), answer
        check(answer.build(), w, target)

    holds()


SHAPES = {
    "1xN": Conv2dWorkload(1, 20, 7, 30, 24, 1, 7, pad_left=3, pad_right=3),
    "Nx1": Conv2dWorkload(1, 20, 30, 7, 24, 7, 1, pad_top=3, pad_bottom=3),
    "one pixel": Conv2dWorkload(1, 40, 1, 1, 100, 1, 1),
    "narrower than its padding": Conv2dWorkload(
        1, 8, 2, 2, 8, 5, 5, 1, 1, pad_top=4, pad_left=4, pad_bottom=4, pad_right=4
    ),
    "rows wholly in the padding": Conv2dWorkload(
        1, 8, 3, 9, 16, 2, 2, 2, 2, pad_top=3, pad_left=3, pad_bottom=3, pad_right=3
    ),
    "pointwise with a tail": Conv2dWorkload(2, 24, 5, 9, 40, 1, 1),
    "pointwise strided": Conv2dWorkload(1, 32, 13, 13, 48, 1, 1, 2, 2),
    "several chunks of input channels": Conv2dWorkload(
        1, 2048, 4, 4, 64, 3, 3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1
    ),
    "half a block shared by two input channels": Conv2dWorkload(
        1, 30, 5, 21, 24, 1, 1, epilogue=Epilogue(bias=True, residual=True)
    ),
    "a quarter shared by four, a tail of two": Conv2dWorkload(
        2, 30, 5, 9, 36, 3, 3, pad_top=1, pad_left=1, epilogue=Epilogue(bias=True)
    ),
    "shared, in several chunks": Conv2dWorkload(
        1, 2048, 3, 4, 24, 3, 3, pad_top=1, pad_left=1, pad_bottom=1, epilogue=Epilogue(bias=True)
    ),
    "many tasks": Conv2dWorkload(
        2, 64, 28, 28, 80, 3, 3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1
    ),
    "large dilation": Conv2dWorkload(
        1, 16, 20, 20, 16, 3, 3, pad_top=6, pad_left=6, pad_bottom=6, pad_right=6,
        dilation_h=6, dilation_w=6,
    ),
}  # fmt: skip


@each_target
@pytest.mark.parametrize("shape", SHAPES)
def test_direct_convolution_at_the_edges_of_its_schedule(shape: str, target: Target) -> None:
    check(direct(SHAPES[shape], target), SHAPES[shape], target)


@each_target
@pytest.mark.parametrize("group_oc", [1, 2, 3, 4])
@pytest.mark.parametrize("blocks", [4, 5, 7])
def test_every_cut_of_the_output_channels(blocks: int, group_oc: int, target: Target) -> None:
    lanes = target.isa.vec_lanes
    w = Conv2dWorkload(1, 8, 5, 6, blocks * lanes - 1, 1, 1, epilogue=Epilogue(bias=True))
    geometry = conv2d_direct.geometry_of(w, target, nchw=False)
    config = Conv2dDirectConfig(2, 4, group_oc=group_oc, chunk_ic=geometry.group_in, chunk_rows=2)
    check(conv2d_direct.build_kernel(w, config, target, False, "cut", 1.0), w, target)


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a53", "cortex-a7", "arm1176"])
def test_on_arm(core: str) -> None:
    target = CORES[core]
    problems: list[tuple[Conv2dWorkload, Launch, F64]] = []

    def add(w: Conv2dWorkload, kernel: Kernel, nchw: bool = False) -> None:
        problems.append((w, *problem(kernel, w, target, nchw)))

    for name, w in SHAPES.items():
        if name != "many tasks":
            add(w, direct(w, target))

    @repeatable(12)
    @given(w=convolutions())
    def collect_direct(w: Conv2dWorkload) -> None:
        if not w.is_depthwise or w.in_channels != w.out_channels:
            add(w, direct(w, target))

    @repeatable(8)
    @given(w=convolutions())
    def collect_plain(w: Conv2dWorkload) -> None:
        if w.groups == 1:
            add(w, direct(w, target, "NCHW"), nchw=True)

    @repeatable(10)
    @given(w=depthwise())
    def collect_depthwise(w: Conv2dWorkload) -> None:
        answer = conv2d_depthwise.offer(w, target, Limits(), "blocked")
        assert not isinstance(answer, Declined), answer
        add(w, answer.build())

    collect_direct()
    collect_plain()
    collect_depthwise()
    found = run_emulated([launch for _, launch, _ in problems], target)
    for (w, _, expected), y in zip(problems, found, strict=True):
        compare(w, y, expected)


@each_target
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: f"{a.kind}_{a.low:g}")
def test_every_activation_is_fused(activation: Activation, target: Target) -> None:
    epilogue = Epilogue(bias=True, residual=True, activation=activation)
    w = Conv2dWorkload(1, 16, 5, 9, 24, 3, 3, pad_left=1, pad_right=1, epilogue=epilogue)
    check(direct(w, target), w, target)


@pytest.mark.parametrize("shape", ["several chunks of input channels", "shared, in several chunks"])
def test_the_shapes_for_several_chunks_have_them(shape: str) -> None:
    name = direct(SHAPES[shape], TARGETS[0]).name
    assert "ic2048" not in name, name


@pytest.mark.parametrize(
    ("channels", "lanes", "shared"),
    [(24, 16, 2), (20, 16, 4), (17, 16, 4), (26, 16, 1), (32, 16, 1), (12, 8, 2), (9, 8, 4)],
)
def test_how_many_input_channels_share_a_block(channels: int, lanes: int, shared: int) -> None:
    geometry = Geometry(Conv2dWorkload(1, 8, 4, 4, channels, 1, 1), lanes, False, False)
    assert geometry.shared_ic == shared


def test_a_nan_in_the_input_reaches_the_output() -> None:
    target = TARGETS[0]
    w = Conv2dWorkload(1, 16, 3, 3, 16, 1, 1, epilogue=Epilogue(activation=Activation("relu")))
    kernel = direct(w, target)
    assert kernel.pack_weights is not None
    weights = kernel.pack_weights(np.ones((16, 16, 1, 1), np.float32))
    x = blocked(np.full((1, 16, 3, 3), np.nan, np.float32), target.isa.vec_lanes)
    with pytest.raises(AssertionError, match="incomplete"):
        run(kernel, target, [x, weights], x.shape)


@pytest.mark.parametrize(
    ("w", "layout", "reason"),
    [
        (Conv2dWorkload(1, 8, 4, 4, 8, 1, 1, groups=8), "blocked", "family of their own"),
        (Conv2dWorkload(1, 8, 4, 4, 8, 1, 1, groups=2), "NCHW", "grouped"),
        (Conv2dWorkload(1, 8, 2, 2, 8, 5, 5), "blocked", "empty"),
        (Conv2dWorkload(1, 8, 4, 4, 8, 1, 1, groups=3), "blocked", "do not divide"),
        (
            Conv2dWorkload(1, 8, 4, 4, 8, 1, 1, epilogue=Epilogue(activation=Activation("elu"))),
            "blocked",
            "'elu' is not fused",
        ),
    ],
)
def test_direct_declines_with_the_reason(w: Conv2dWorkload, layout: str, reason: str) -> None:
    answer = conv2d_direct.offer(w, TARGETS[0], Limits(), layout)
    assert isinstance(answer, Declined)
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("w", "layout", "reason"),
    [
        (Conv2dWorkload(1, 8, 4, 4, 8, 1, 1), "blocked", "not depthwise"),
        (Conv2dWorkload(1, 8, 4, 4, 16, 1, 1, groups=8), "blocked", "channel multiplier 2"),
        (Conv2dWorkload(1, 8, 4, 4, 8, 1, 1, groups=8), "NCHW", "blocked activations"),
        (Conv2dWorkload(1, 8, 2, 2, 8, 5, 5, groups=8), "blocked", "empty"),
    ],
)
def test_depthwise_declines_with_the_reason(w: Conv2dWorkload, layout: str, reason: str) -> None:
    answer = conv2d_depthwise.offer(w, TARGETS[0], Limits(), layout)
    assert isinstance(answer, Declined)
    assert reason in answer.reason


@pytest.mark.parametrize("channels", [(8, 16, 8), (12, 24, 4), (6, 6, 3), (32, 32, 4)])
@each_target
def test_groups_narrower_than_a_block_are_joined(
    channels: tuple[int, int, int], target: Target
) -> None:
    inputs, outputs, groups = channels
    w = Conv2dWorkload(1, inputs, 6, 11, outputs, 3, 3, pad_top=1, pad_bottom=1, groups=groups)
    check(direct(w, target), w, target)
