"""The NEON microkernels keep their tiles in registers, multiply by lane, and keep the core busy."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from edgewright.schedules.cpu import conv2d_direct
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig
from edgewright.schedules.kernel import Kernel, Limits
from edgewright.schedules.select import select_conv2d, select_dense
from edgewright.schedules.workload import Activation, Conv2dWorkload, DenseWorkload, Epilogue
from edgewright.spec.target import CORES
from tests.schedules.assembly import (
    assembly,
    innermost_loops,
    multiply_add_share,
    multiply_adds,
    stack_references,
)

A72 = CORES["cortex-a72"]
BIAS = Epilogue(bias=True)
EPILOGUE = Epilogue(bias=True, activation=Activation("relu"))
BY_LANE = re.compile(r"fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]")
#: Multiply-adds a cycle, as a share of what llvm-mca's model of a Cortex-A72 allows.
BUSY = 0.9
#: Loops with fewer multiply-adds than this share of the largest one's are edges of the image.
MAIN = 0.6


def loops_of(kernel: Kernel, core: str = "cortex-a72") -> list[list[str]]:
    """The kernel's innermost loops that multiply, the largest first, edges left out."""
    loops = innermost_loops(assembly(kernel, CORES[core]))
    working = sorted((loop for loop in loops if multiply_adds(loop)), key=lambda loop: -len(loop))
    assert working, "no innermost loop multiplies"
    most = max(len(multiply_adds(loop)) for loop in working)
    return [loop for loop in working if len(multiply_adds(loop)) >= MAIN * most]


def square(
    channels: int,
    extent: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    epilogue: Epilogue = EPILOGUE,
) -> Conv2dWorkload:
    """A convolution of square images that keeps their extent but for its stride."""
    pad = kernel // 2
    return Conv2dWorkload(
        1,
        channels,
        extent,
        extent,
        outputs,
        kernel,
        kernel,
        stride,
        stride,
        pad,
        pad,
        pad,
        pad,
        groups=groups,
        epilogue=epilogue,
    )


# Tiles of 14 accumulators and more, which leave few registers to spare.
POINTWISE = square(64, 8, 1024)
LARGE_TILES = [
    config
    for config in conv2d_direct.get_configs(A72, conv2d_direct.geometry_of(POINTWISE, A72, False))
    if config.tile_oc * config.tile_ow >= 14
]


@pytest.mark.parametrize("config", LARGE_TILES, ids=lambda c: f"oc{c.tile_oc}ow{c.tile_ow}")
def test_direct_tiles_stay_in_registers(config: Conv2dDirectConfig) -> None:
    full = replace(config, chunk_ic=64, unroll_ic=8, chunk_rows=8)
    w = replace(POINTWISE, in_h=4, in_w=4 * config.tile_ow, out_channels=16 * config.tile_oc)
    loop = loops_of(conv2d_direct.build_kernel(w, full, A72, False, "tile", 0.0))[0]
    products = multiply_adds(loop)
    assert len(products) == 8 * config.tile_oc * config.tile_ow
    assert all(BY_LANE.match(line) for line in products)
    assert not stack_references(loop), "\n".join(loop)
    # One instruction for four vectors of weights and for up to four of inputs, two for the loop.
    loads = 2 * (config.tile_oc + -(-config.tile_ow // 4))
    assert len(loop) <= len(products) + loads + 2 + 2, "\n".join(loop)
    assert multiply_add_share(loop, "cortex-a72") >= BUSY


CONVOLUTIONS = {
    "3x3": square(64, 56, 64, 3),
    "3x3 stride 2": square(64, 56, 128, 3, 2),
    "3x3 small": square(512, 7, 512, 3),
    "1x1": replace(square(96, 28, 64), epilogue=replace(EPILOGUE, residual=True)),
    "1x1 clipped": square(
        96, 14, 576, epilogue=Epilogue(bias=True, activation=Activation("clip", low=0.0, high=6.0))
    ),
    "1x1 stride 2": square(256, 56, 512, 1, 2),
    "depthwise": square(144, 56, 144, 3, groups=144),
    "depthwise stride 2": square(144, 56, 144, 3, 2, groups=144),
    "depthwise 5x5": square(96, 28, 96, 5, groups=96),
}


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72", "cortex-a76"])
@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_chosen_convolutions_do_not_spill(layer: str, core: str) -> None:
    kernel = select_conv2d(CONVOLUTIONS[layer], CORES[core]).kernel
    assert kernel is not None
    # A depthwise tile is all taps at once, and may fetch its bias from the stack.
    allowed = 1 if kernel.algorithm == "depthwise" else 0
    for loop in loops_of(kernel, core):
        assert len(stack_references(loop)) <= allowed, "\n".join(loop)


DIRECT = {
    "1x1": (square(96, 28, 64), "blocked"),
    "1x1 stride 2": (square(256, 56, 512, 1, 2), "blocked"),
    "3x3": (square(64, 56, 64, 3), "blocked"),
    "3x3 stride 2": (square(64, 56, 128, 3, 2), "blocked"),
    "5x5": (square(32, 28, 64, 5), "blocked"),
    "3x3 stem": (square(3, 224, 32, 3, 2), "NCHW"),
    "7x7 stem": (square(3, 224, 64, 7, 2), "NCHW"),
}


@pytest.mark.parametrize("layer", DIRECT)
def test_direct_convolutions_keep_the_core_busy(layer: str) -> None:
    w, layout = DIRECT[layer]
    kernel = select_conv2d(w, A72, Limits(algorithm="direct"), input_layout=layout).kernel
    assert kernel is not None and kernel.algorithm == "direct"
    for loop in loops_of(kernel):
        text, products = "\n".join(loop), multiply_adds(loop)
        assert all(BY_LANE.match(line) for line in products), text
        assert not stack_references(loop), text
        assert len(loop) <= 1.2 * len(products), text
        assert multiply_add_share(loop, "cortex-a72") >= BUSY, text


def test_strassen_keeps_the_core_busy() -> None:
    w = square(512, 14, 512)
    kernel = select_conv2d(w, A72, Limits(algorithm="strassen")).kernel
    assert kernel is not None and kernel.algorithm == "strassen"
    for loop in loops_of(kernel):
        assert all(BY_LANE.match(line) for line in multiply_adds(loop))
        assert not stack_references(loop)
        assert multiply_add_share(loop, "cortex-a72") >= BUSY, "\n".join(loop)


@pytest.mark.parametrize("rows", [1, 16])
def test_dense_keeps_the_core_busy(rows: int) -> None:
    kernel = select_dense(DenseWorkload(rows, 1280, 1000, EPILOGUE), A72).kernel
    assert kernel is not None
    for loop in loops_of(kernel):
        assert all(BY_LANE.match(line) for line in multiply_adds(loop))
        assert not stack_references(loop)
        assert multiply_add_share(loop, "cortex-a72") >= BUSY, "\n".join(loop)


@pytest.mark.parametrize("layer", ["depthwise", "depthwise stride 2", "depthwise 5x5"])
def test_depthwise_keeps_the_core_busy(layer: str) -> None:
    # An activation after nine multiply-adds is a tenth of the work: it is left out.
    kernel = select_conv2d(replace(CONVOLUTIONS[layer], epilogue=BIAS), A72).kernel
    assert kernel is not None and kernel.algorithm == "depthwise"
    for loop in loops_of(kernel):
        assert multiply_add_share(loop, "cortex-a72") >= BUSY, "\n".join(loop)


@pytest.mark.parametrize("kind", ["silu", "tanh"])
@pytest.mark.parametrize("layer", ["3x3 stride 2", "3x3 small", "1x1"])
def test_an_exponential_behind_the_loop_changes_nothing_inside(layer: str, kind: str) -> None:
    w = CONVOLUTIONS[layer]
    smooth = replace(w, epilogue=replace(w.epilogue, activation=Activation(kind)))
    kernel, other = select_conv2d(w, A72).kernel, select_conv2d(smooth, A72).kernel
    assert kernel is not None and other is not None
    before, after = loops_of(kernel)[0], loops_of(other)[0]
    assert not stack_references(after), "\n".join(after)
    assert len(multiply_adds(after)) == len(multiply_adds(before))
    assert len(after) <= len(before) + 2


def test_smooth_activations_neither_divide_nor_call() -> None:
    w = replace(CONVOLUTIONS["1x1"], epilogue=Epilogue(activation=Activation("silu")))
    kernel = select_conv2d(w, A72).kernel
    assert kernel is not None
    text = assembly(kernel, A72)
    assert "frecpe" in text and "frecps" in text
    assert "fdiv" not in text and "expf" not in text
