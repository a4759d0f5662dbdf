from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu import conv2d_depthwise, conv2d_direct, conv2d_fft, conv2d_winograd
from edgewright.schedules.cpu.blocked import pack_channels
from edgewright.schedules.cpu.conv2d_fft import build_kernel, get_configs, offer, pack_weights
from edgewright.schedules.cpu.conv2d_fft_config import Conv2dFftConfig, FftGeometry
from edgewright.schedules.cpu.conv2d_fft_cost import error_factor, estimate_fft
from edgewright.schedules.cpu.conv2d_fft_emit import FftEmitter, transform_constants
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.schedules import references
from tests.schedules.cpu.scratch_kernels import arrays, run_convolution
from tests.schedules.execution import TARGETS, each_target, examples
from tests.schedules.strategies import epilogues, repeatable

HOST = TARGETS[0]
FORCED = Limits("fft")
FULL = Epilogue(bias=True, residual=True, activation=Activation("relu"))


def same(channels: int, extent: int, kernel: int, outputs: int = 0) -> Conv2dWorkload:
    """A convolution that keeps its extent."""
    pad = kernel // 2
    return Conv2dWorkload(
        1, channels, extent, extent, outputs or channels, kernel, kernel, 1, 1, pad, pad, pad, pad,
        epilogue=FULL,
    )  # fmt: skip


def depthwise(channels: int, extent: int, kernel: int) -> Conv2dWorkload:
    return replace(same(channels, extent, kernel), groups=channels)


@st.composite
def workloads(draw: DrawFn) -> Conv2dWorkload:
    """Small convolutions: odd extents, tails of channels, any padding and dilation, depthwise."""
    kernel_h, kernel_w = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    assume(kernel_h * kernel_w > 1)
    dilation = draw(st.sampled_from([1, 1, 1, 2]))
    pads = [draw(st.integers(0, 4)) for _ in range(4)]
    in_h, in_w = draw(st.integers(1, 15)), draw(st.integers(1, 22))
    assume(in_h + pads[0] + pads[2] > dilation * (kernel_h - 1))
    assume(in_w + pads[1] + pads[3] > dilation * (kernel_w - 1))
    channels = draw(st.integers(2, 40))
    is_depthwise = draw(st.sampled_from([False, False, True]))
    return Conv2dWorkload(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_channels=channels,
        in_h=in_h,
        in_w=in_w,
        out_channels=channels if is_depthwise else draw(st.integers(1, 70)),
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        pad_top=pads[0],
        pad_left=pads[1],
        pad_bottom=pads[2],
        pad_right=pads[3],
        dilation_h=dilation,
        dilation_w=dilation,
        groups=channels if is_depthwise else 1,
        epilogue=draw(epilogues()),
    )


def offered(w: Conv2dWorkload, target: Target, limits: Limits = FORCED) -> Offer:
    answer = offer(w, target, limits, "blocked")
    assert isinstance(answer, Offer), answer
    return answer


def direct(w: Conv2dWorkload, target: Target = HOST) -> Kernel:
    family = conv2d_depthwise if w.is_depthwise else conv2d_direct
    answer = family.offer(w, target, Limits(), "blocked")
    assert isinstance(answer, Offer), answer
    return answer.build()


def check(kernel: Kernel, w: Conv2dWorkload, target: Target) -> None:
    """Four times the error that the direct convolution's sum may have."""
    tensors = arrays(w, seed=w.in_channels)
    expected = references.conv2d(w, *tensors)
    off = np.abs(run_convolution(kernel, w, target, tensors) - expected).max()
    products = w.in_channels // w.groups * w.kernel_h * w.kernel_w
    scale = max(1.0, float(np.abs(expected).max()))
    allowed = 4 * 2e-7 * (1.0 + np.sqrt(products)) * scale
    assert off <= allowed, f"off by {off:.3e}, allowed {allowed:.3e}"


@each_target
def test_convolutions_of_any_shape(target: Target) -> None:
    @repeatable(examples(target, 12))
    @given(w=workloads())
    def holds(w: Conv2dWorkload) -> None:
        check(offered(w, target).build(), w, target)

    holds()


SHAPES = {
    "1xN": Conv2dWorkload(1, 20, 5, 30, 24, 1, 11, pad_left=5, pad_right=5),
    "Nx1": Conv2dWorkload(1, 20, 30, 5, 24, 11, 1, pad_top=5, pad_bottom=5),
    "one output": Conv2dWorkload(1, 20, 7, 7, 24, 7, 7),
    "kernel larger than the image": same(16, 6, 15),
    "several tiles in both directions": replace(same(18, 23, 7, 35), batch=2),
    "large dilation": Conv2dWorkload(
        1, 16, 14, 17, 16, 3, 3, 1, 1, 5, 5, 5, 5, dilation_h=5, dilation_w=5
    ),
    "taps that meet nothing": Conv2dWorkload(1, 4, 3, 3, 4, 9, 9, 1, 1, 8, 0, 0, 8),
    "an input only in the padding": Conv2dWorkload(
        1, 4, 2, 9, 4, 2, 3, 1, 1, 6, 1, 6, 1, dilation_h=5
    ),
    "depthwise": depthwise(21, 19, 9),
}


@each_target
@pytest.mark.parametrize("shape", SHAPES)
def test_the_edges_of_the_schedule(shape: str, target: Target) -> None:
    check(offered(SHAPES[shape], target).build(), SHAPES[shape], target)


@pytest.mark.parametrize(
    ("points_h", "points_w"),
    [(8, 12), (12, 8), (16, 24), (24, 16), (32, 4), (4, 32), (48, 4), (4, 48), (64, 4), (4, 64)],
)
def test_every_size_of_transform(points_h: int, points_w: int) -> None:
    """Each with tiles at all borders of the image, of fewer channels than a block."""
    target = TARGETS[-1]
    kernel_h, kernel_w = points_h // 2 - 1, points_w // 2 - 1
    w = Conv2dWorkload(
        1, 3, points_h + 1, points_w + 1, 5, kernel_h, kernel_w,
        pad_top=kernel_h // 2, pad_left=kernel_w // 2,
        pad_bottom=kernel_h // 2, pad_right=kernel_w // 2,
    )  # fmt: skip
    config = Conv2dFftConfig(points_h, points_w, 1, 2, 1, 1, 1, 1, 1)
    geometry = FftGeometry(w, config, target.isa.vec_lanes)
    assert geometry.rows.tiles == geometry.cols.tiles == 2
    check(build_kernel(w, config, target, "size", 1.0), w, target)


@pytest.mark.parametrize(
    ("tile_oc", "tile_t", "block", "chunk_ic", "chunk_oc", "group_oc"),
    [
        (1, 1, (1, 1), 1, 1, 1),
        (2, 4, (3, 3), 2, 1, 1),  # the last chunk of inputs has one block, which is not full
        (1, 5, (1, 3), 3, 2, 2),
        (2, 3, (3, 3), 1, 2, 1),
    ],
)
def test_every_cut_of_the_channels(
    tile_oc: int, tile_t: int, block: tuple[int, int], chunk_ic: int, chunk_oc: int, group_oc: int
) -> None:
    w = same(2 * HOST.isa.vec_lanes + 5, 20, 3, 4 * HOST.isa.vec_lanes + 3)
    config = Conv2dFftConfig(8, 8, tile_oc, tile_t, *block, chunk_ic, chunk_oc, group_oc)
    w = replace(w, in_h=18, in_w=18)
    kernel = build_kernel(w, config, HOST, "cut", 1.0)
    assert FftGeometry(w, config, HOST.isa.vec_lanes).rows.tiles == 3
    check(kernel, w, HOST)
    ahead = build_kernel(w, replace(config, prefetch_bytes=4096), HOST, "ahead", 1.0)
    check(ahead, w, HOST)


def test_multiplication_by_lane() -> None:
    """What NEON gets, on this machine: coefficients and inputs as lanes of vectors."""
    target = TARGETS[-1]
    assert target.isa.vec_lanes == 4
    simd = mk.Simd(lanes=4, by_lane=True, call_fma=False, call_max=False)
    for w in (same(13, 11, 5, 21), depthwise(6, 13, 5)):
        config = Conv2dFftConfig(12, 12, 1, 4, 2, 2, 4, 3, 1)
        geometry = FftGeometry(w, config, 4)
        constants = transform_constants(geometry, simd)
        head = tuple(constants.table) + (0.0,) * (constants.elements - len(constants.table))
        assert constants.table
        kernel = Kernel(
            name="by_lane",
            algorithm="fft",
            prim_func=mk.kernel_function("by_lane", FftEmitter(geometry, simd).emit),
            pack_weights=partial(pack_weights, geometry=geometry, head=head),
            pack_bias=partial(pack_channels, lanes=4),
            scratch_bytes=geometry.scratch_elements * 4,
        )
        check(kernel, w, target)


ERROR_CASES = [same(16, 18, 3), same(64, 18, 5), same(4, 20, 11, 32), same(16, 14, 15)]
ERROR_CASES += [depthwise(32, 20, 3), depthwise(32, 24, 9), depthwise(16, 20, 15)]


@pytest.mark.parametrize("w", ERROR_CASES, ids=lambda w: f"{w.in_channels}k{w.kernel_h}g{w.groups}")
def test_the_error_is_within_the_stated_factor(w: Conv2dWorkload) -> None:
    """Largest errors, against those of the direct convolution, positive inputs too."""
    w = replace(w, epilogue=Epilogue())
    answer = offered(w, HOST)
    assert answer.error <= 4.0
    kernels = answer.build(), direct(w)
    for change in (lambda x: x, lambda x: np.maximum(x, 0.0), lambda x: np.abs(x) + 2.0):
        worst = [0.0, 0.0]
        for seed in range(3):
            x, *others = arrays(w, seed)
            tensors = (change(x), *others)
            expected = references.conv2d(w, *tensors)
            found = [run_convolution(kernel, w, HOST, tensors) for kernel in kernels]
            worst = [
                max(before, float(np.abs(y - expected).max()))
                for before, y in zip(worst, found, strict=True)
            ]
        assert worst[0] <= answer.error * worst[1], (worst[0] / worst[1], answer.error)


EVERY_TARGET = {target.isa.name: target for target in (*CORES.values(), *TARGETS)}


@pytest.mark.parametrize("isa", EVERY_TARGET)
def test_offers_hold_what_they_state(isa: str) -> None:
    target = EVERY_TARGET[isa]
    for w in (same(16, 28, 7, 32), same(64, 14, 11), same(256, 14, 7), depthwise(64, 56, 31)):
        answer = offered(w, target, Limits())
        kernel = answer.build()
        assert (kernel.name, kernel.cost) == (answer.name, answer.cost)
        assert kernel.scratch_bytes == answer.scratch_bytes
        assert 0 < answer.scratch_bytes <= 1 << 20
        assert 0 < answer.error <= 4.0
        assert answer.config in answer.name
        others = answer.others()
        assert len({other.name for other in (answer, *others)}) == len(others) + 1


def geometry_of(answer: Offer, w: Conv2dWorkload, target: Target) -> FftGeometry:
    build: Any = answer.build
    return FftGeometry(w, build.args[1], target.isa.vec_lanes)


def test_the_cheapest_configuration_is_chosen() -> None:
    w = same(64, 28, 7)
    answer = offered(w, HOST)
    chosen = estimate_fft(geometry_of(answer, w, HOST), HOST)
    every = [FftGeometry(w, c, HOST.isa.vec_lanes) for c in get_configs(w, HOST, 1 << 20)]
    assert all(geometry.scratch_elements * 4 <= 1 << 20 for geometry in every)
    assert chosen.score == min(estimate_fft(geometry, HOST).score for geometry in every)
    assert answer.cost == chosen.cycles


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a7", "host"])
def test_large_kernels_are_estimated_faster_and_small_ones_not(core: str) -> None:
    target = CORES.get(core, HOST)
    for kernel, least in ((7, 2.0), (11, 4.0), (31, 8.0)):
        w = same(64, 28, kernel)
        other = conv2d_direct.offer(w, target, Limits(), "blocked")
        assert isinstance(other, Offer)
        assert other.cost > least * offered(w, target, Limits()).cost
    for w in (same(64, 56, 3), same(512, 7, 3)):
        best = conv2d_winograd.offer(w, target, Limits(), "blocked")
        assert isinstance(best, Offer) and best.cost < offered(w, target).cost


def test_limits_are_kept() -> None:
    w = same(64, 14, 11)
    assert offered(w, HOST, Limits(max_workspace_bytes=400_000)).scratch_bytes <= 400_000
    for limits, reason in (
        (Limits(max_workspace_bytes=1000), "1000 bytes of scratch"),
        (Limits("fft", max_error=0.01), "above 0.01 times the direct"),
    ):
        answer = offer(w, HOST, limits, "blocked")
        assert isinstance(answer, Declined) and reason in answer.reason
    assert error_factor(geometry_of(offered(w, HOST), w, HOST)) == offered(w, HOST).error


@pytest.mark.parametrize(
    ("w", "reason"),
    [
        (replace(same(16, 14, 5), stride_h=2), "stride 2x1"),
        (replace(same(16, 14, 5), groups=2), "2 groups"),
        (replace(same(16, 14, 5, 32), groups=16), "16 groups"),
        (same(16, 14, 1), "nothing to transform"),
        (same(16, 14, 3), "9 taps are too few"),
        (replace(same(16, 14, 5), in_h=1, pad_top=0, pad_bottom=0), "empty"),
        (replace(same(16, 14, 5), epilogue=Epilogue(activation=Activation("sine"))), "'sine'"),
        (same(16, 150, 71), "larger than the largest transform"),
        (replace(same(16, 80, 6), dilation_h=5, dilation_w=5), "more than 8 times"),
    ],
)
def test_declines_with_a_reason(w: Conv2dWorkload, reason: str) -> None:
    answer = offer(w, HOST, Limits(), "blocked")
    assert isinstance(answer, Declined)
    assert answer.family == "fft" and reason in answer.reason


def test_declines_plain_inputs() -> None:
    answer = offer(same(16, 14, 5), HOST, Limits(), "NCHW")
    assert isinstance(answer, Declined) and "blocked" in answer.reason


def test_code_and_weights_repeat() -> None:
    w = same(24, 14, 5, 40)
    first = offered(w, HOST).build()
    weights = arrays(w)[1]
    conv2d_fft._ranked.cache_clear()
    build_kernel.cache_clear()
    second = offered(w, HOST).build()
    assert first is not second and first.name == second.name
    assert first.prim_func.script() == second.prim_func.script()
    assert first.pack_weights is not None and second.pack_weights is not None
    assert first.pack_weights(weights).tobytes() == second.pack_weights(weights).tobytes()
