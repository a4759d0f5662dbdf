from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu import conv2d_direct
from edgewright.schedules.cpu.conv2d_im2col import build_kernel, get_configs, offer, pack_weights
from edgewright.schedules.cpu.conv2d_im2col_config import Conv2dIm2colConfig, Im2colGeometry
from edgewright.schedules.cpu.conv2d_im2col_emit import Im2colEmitter
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.schedules.cpu.scratch_kernels import check_convolution
from tests.schedules.execution import TARGETS, each_target, examples
from tests.schedules.strategies import convolutions, repeatable

HOST = TARGETS[0]
FULL = Epilogue(bias=True, residual=True, activation=Activation("relu"))
#: More than a thread's level 1 cache holds in one go, so that columns come in several chunks.
DEEP = Conv2dWorkload(
    1, 70, 9, 11, 40, 3, 3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1, epilogue=FULL
)


def offered(w: Conv2dWorkload, target: Target, layout: str = "blocked") -> Offer:
    answer = offer(w, target, Limits(), layout)
    assert isinstance(answer, Offer), answer
    return answer


def check(kernel: Kernel, w: Conv2dWorkload, target: Target, *, nchw: bool = False) -> None:
    """The sums of the direct convolution: no more rounding than a sum of so many products has."""
    error, largest = check_convolution(kernel, w, target, nchw=nchw)
    terms = w.in_channels // w.groups * w.kernel_h * w.kernel_w
    assert error <= 4e-7 * (1.0 + math.sqrt(terms)) * max(1.0, largest)


@each_target
def test_convolutions_of_any_shape(target: Target) -> None:
    @repeatable(examples(target, 24))
    @given(w=convolutions())
    def holds(w: Conv2dWorkload) -> None:
        if not w.is_depthwise:
            check(offered(w, target).build(), w, target)

    holds()


@each_target
def test_plain_inputs_at_odd_addresses(target: Target) -> None:
    @repeatable(examples(target, 9))
    @given(w=convolutions())
    def holds(w: Conv2dWorkload) -> None:
        if w.groups == 1:
            check(offered(w, target, "NCHW").build(), w, target, nchw=True)

    holds()


SHAPES = {
    "1xN": Conv2dWorkload(1, 20, 7, 30, 24, 1, 7, pad_left=3, pad_right=3),
    "Nx1": Conv2dWorkload(1, 20, 30, 7, 24, 7, 1, pad_top=3, pad_bottom=3),
    "one pixel": Conv2dWorkload(1, 40, 1, 1, 100, 1, 1),
    "narrower than its padding": Conv2dWorkload(
        1, 8, 2, 2, 8, 5, 5, pad_top=4, pad_left=4, pad_bottom=4, pad_right=4
    ),
    "rows wholly in the padding": Conv2dWorkload(
        1, 8, 3, 9, 16, 2, 2, 2, 2, pad_top=3, pad_left=3, pad_bottom=3, pad_right=3
    ),
    "pointwise, strided, with a tail": Conv2dWorkload(2, 24, 13, 13, 40, 1, 1, 2, 2),
    "large kernel": Conv2dWorkload(
        1, 16, 12, 12, 16, 31, 31, pad_top=15, pad_left=15, pad_bottom=15, pad_right=15
    ),
    "large dilation": Conv2dWorkload(
        1, 16, 20, 20, 16, 3, 3, pad_top=6, pad_left=6, pad_bottom=6, pad_right=6,
        dilation_h=6, dilation_w=6,
    ),
    "narrow groups": Conv2dWorkload(1, 12, 6, 11, 24, 3, 3, pad_top=1, pad_bottom=1, groups=4),
}  # fmt: skip


@each_target
@pytest.mark.parametrize("shape", SHAPES)
def test_the_edges_of_the_schedule(shape: str, target: Target) -> None:
    check(offered(SHAPES[shape], target).build(), SHAPES[shape], target)


@pytest.mark.parametrize("nchw", [False, True])
@pytest.mark.parametrize(
    ("tile_oc", "tile_px", "block_px", "chunk_steps", "group_oc"),
    [
        (1, 5, 10, 1, 1),  # a chunk for every step; the last block holds a tail only
        (2, 3, 9, 7, 1),  # a tile of fewer output channels in a task of its own
        (2, 4, 100, 1000, 2),
        (1, 7, 14, 10, 2),  # the last task has fewer tiles of output channels
    ],
)
def test_every_cut_of_the_column_matrix(
    tile_oc: int, tile_px: int, block_px: int, chunk_steps: int, group_oc: int, nchw: bool
) -> None:
    geometry = Im2colGeometry(DEEP, HOST.isa.vec_lanes, nchw)
    config = Conv2dIm2colConfig(
        tile_oc, tile_px, block_px, min(chunk_steps, geometry.steps), group_oc
    )
    check(build_kernel(DEEP, config, HOST, nchw, "cut", 1.0), DEEP, HOST, nchw=nchw)


def test_multiplication_by_lane() -> None:
    """What NEON gets, on this machine: inputs as lanes of vectors."""
    target = TARGETS[-1]
    assert target.isa.vec_lanes == 4
    simd = mk.Simd(lanes=4, by_lane=True, call_fma=False, call_max=False)
    for w in (DEEP, replace(DEEP, in_channels=6), SHAPES["1xN"]):
        geometry = Im2colGeometry(w, 4, False)
        config = Conv2dIm2colConfig(2, 5, 20, min(9, geometry.steps), 3)
        kernel = Kernel(
            name="by_lane",
            algorithm="im2col",
            prim_func=mk.kernel_function("by_lane", Im2colEmitter(geometry, config, simd).emit),
            pack_weights=lambda weights, g=geometry, c=config: pack_weights(weights, g, c, 1),
            pack_bias=offered(w, target).build().pack_bias,
            scratch_bytes=geometry.scratch_elements(config) * 4,
        )
        check(kernel, w, target)


EVERY_TARGET = {target.isa.name: target for target in (*CORES.values(), *TARGETS)}


@pytest.mark.parametrize("isa", EVERY_TARGET)
def test_offers_hold_what_they_state(isa: str) -> None:
    target = EVERY_TARGET[isa]
    for w in (DEEP, replace(DEEP, in_channels=512, in_h=14, in_w=14), SHAPES["large kernel"]):
        answer = offered(w, target)
        kernel = answer.build()
        assert (kernel.name, kernel.cost) == (answer.name, answer.cost)
        assert kernel.scratch_bytes == answer.scratch_bytes
        assert 0 < answer.scratch_bytes <= max(target.l2_bytes, target.l1_bytes) // 2
        assert answer.error == 0.0
        assert answer.config in answer.name
        others = answer.others()
        assert len({other.name for other in (answer, *others)}) == len(others) + 1
        assert all(other.cost >= answer.cost for other in others)


def test_scratch_memory_is_limited_on_request() -> None:
    limits = Limits(max_workspace_bytes=10_000)
    answer = offer(DEEP, HOST, limits, "blocked")
    assert isinstance(answer, Offer) and answer.scratch_bytes <= 10_000
    answer = offer(DEEP, HOST, Limits(max_workspace_bytes=100), "blocked")
    assert isinstance(answer, Declined) and "100 bytes of scratch" in answer.reason


@pytest.mark.parametrize(
    ("changes", "layout", "reason"),
    [
        ({"groups": 70, "out_channels": 70}, "blocked", "depthwise"),
        ({"groups": 2}, "NCHW", "grouped"),
        ({"groups": 3}, "blocked", "do not divide"),
        ({"in_h": 1, "pad_top": 0}, "blocked", "empty"),
        ({"epilogue": Epilogue(activation=Activation("sine"))}, "blocked", "'sine' is not fused"),
    ],
)
def test_declines_with_a_reason(changes: dict[str, Any], layout: str, reason: str) -> None:
    answer = offer(replace(DEEP, **changes), HOST, Limits(), layout)
    assert isinstance(answer, Declined)
    assert answer.family == "im2col" and reason in answer.reason


def test_the_cost_is_that_of_the_direct_convolution_and_the_copies() -> None:
    for target in (HOST, CORES["cortex-a72"], CORES["cortex-a7"]):
        w = replace(DEEP, in_channels=64, in_h=56, in_w=56, out_channels=64)
        direct = conv2d_direct.offer(w, target, Limits(), "blocked")
        assert isinstance(direct, Offer)
        assert direct.cost < offered(w, target).cost < 1.4 * direct.cost


def test_columns_hold_every_product_once() -> None:
    """The packed weights are a permutation of the weights and zeros."""
    w = replace(DEEP, in_channels=21, out_channels=19)
    weights = np.arange(1, 1 + 19 * 21 * 9, dtype=np.float32).reshape(19, 21, 3, 3)
    for nchw in (False, True):
        geometry = Im2colGeometry(w, 16, nchw)
        assert geometry.steps == (12 if nchw else 18) and geometry.depth == 189
        config = next(iter(get_configs(geometry, HOST, 1 << 20)))
        packed = pack_weights(weights, geometry, config, 1)
        assert packed.size == 32 * 189
        assert np.array_equal(np.sort(packed[packed > 0]), np.sort(weights.ravel()))
