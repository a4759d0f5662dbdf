from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu import conv2d_direct, conv2d_winograd
from edgewright.schedules.cpu.blocked import pack_channels
from edgewright.schedules.cpu.conv2d_winograd import build_kernel, get_configs, offer, pack_weights
from edgewright.schedules.cpu.conv2d_winograd_config import Conv2dWinogradConfig, Geometry
from edgewright.schedules.cpu.conv2d_winograd_cost import error_factor, estimate
from edgewright.schedules.cpu.conv2d_winograd_emit import emit_kernel, transform_constants
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.schedules import references
from tests.schedules.execution import (
    F32,
    F64,
    TARGETS,
    Poisoned,
    blocked,
    each_target,
    examples,
    plain,
)
from tests.schedules.strategies import epilogues, repeatable

ANY_ERROR = 1e6
HOST = TARGETS[0]
BIAS_RELU = Epilogue(bias=True, activation=Activation("relu"))
#: Tensors of a workload: input, weights, bias, residual.
Arrays = tuple[F32, F32, F32, F32]


def same(channels: int, extent: int, kernel: int = 3, outputs: int = 0) -> Conv2dWorkload:
    """A convolution that keeps its extent."""
    pad = kernel // 2
    return Conv2dWorkload(
        1,
        channels,
        extent,
        extent,
        outputs or channels,
        kernel,
        kernel,
        pad_top=pad,
        pad_left=pad,
        pad_bottom=pad,
        pad_right=pad,
        epilogue=BIAS_RELU,
    )


@st.composite
def workloads(draw: DrawFn) -> Conv2dWorkload:
    """Small convolutions: odd extents, tails of channels, any padding, batches."""
    kernel = draw(st.sampled_from([3, 3, 5]))
    pads = [draw(st.integers(0, 3)) for _ in range(4)]
    in_h, in_w = draw(st.integers(1, 17)), draw(st.integers(1, 26))
    assume(in_h + pads[0] + pads[2] >= kernel and in_w + pads[1] + pads[3] >= kernel)
    return Conv2dWorkload(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_channels=draw(st.integers(1, 40)),
        in_h=in_h,
        in_w=in_w,
        out_channels=draw(st.integers(1, 70)),
        kernel_h=kernel,
        kernel_w=kernel,
        pad_top=pads[0],
        pad_left=pads[1],
        pad_bottom=pads[2],
        pad_right=pads[3],
        epilogue=draw(epilogues()),
    )


def arrays(w: Conv2dWorkload, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> F32:
        return rng.standard_normal(shape).astype(np.float32)

    return (
        normal(w.batch, w.in_channels, w.in_h, w.in_w),
        normal(w.out_channels, w.in_channels, w.kernel_h, w.kernel_w),
        normal(w.out_channels),
        normal(w.batch, w.out_channels, w.out_h, w.out_w),
    )


@lru_cache(maxsize=64)
def built(kernel: Kernel, target: Target) -> Any:
    module = tvm.IRModule({"main": kernel.prim_func.with_attr("global_symbol", "main")})
    return tvm.compile(module, target=tvm.target.Target(target.tvm_dict()))["main"]


def run(kernel: Kernel, w: Conv2dWorkload, target: Target, tensors: Arrays) -> F32:
    """Runs a kernel whose tensors, scratch memory too, are filled with NaN and lie in a sea of it.

    Asserts that it writes its output, finite, and its scratch memory, and nothing else.
    """
    lanes = target.isa.vec_lanes
    x, weights, bias, residual = tensors
    assert kernel.pack_weights is not None
    inputs = [blocked(x, lanes), kernel.pack_weights(weights)]
    if w.epilogue.bias:
        assert kernel.pack_bias is not None
        inputs.append(kernel.pack_bias(bias))
    if w.epilogue.residual:
        inputs.append(blocked(residual, lanes))
    out_shape = (w.batch, math.ceil(w.out_channels / lanes), w.out_h, w.out_w, lanes)
    scratch = [(kernel.scratch_bytes // 4,)] if kernel.scratch_bytes else []
    empty = [np.full(shape, np.nan, np.float32) for shape in (*scratch, out_shape)]
    poisoned = [Poisoned(values) for values in (*inputs, *empty)]
    built(kernel, target)(*(tvm_ffi.from_dlpack(p.view, require_alignment=4) for p in poisoned))
    for before, after in zip(inputs, poisoned, strict=False):
        assert np.array_equal(before, after.view), "an input was written"
    assert all(p.surroundings_untouched() for p in poisoned), "written out of bounds"
    y = plain(poisoned[-1].view, w.out_channels)
    assert np.isfinite(poisoned[-1].view).all(), "output is incomplete, or reads beyond an input"
    return y


def check(kernel: Kernel, config: Conv2dWinogradConfig, w: Conv2dWorkload, target: Target) -> None:
    """Compares a kernel with PyTorch in float64, within the error that it states."""
    tensors = arrays(w, seed=w.in_channels)
    expected = references.conv2d(w, *tensors)
    off = np.abs(run(kernel, w, target, tensors) - expected).max()
    factor = error_factor(Geometry(w, config, target.isa.vec_lanes))
    terms = w.in_channels * w.kernel_h * w.kernel_w
    allowed = (1.0 + factor) * 4e-7 * (1.0 + math.sqrt(terms)) * max(1.0, np.abs(expected).max())
    assert off <= allowed, f"off by {off:.3e}, allowed {allowed:.3e}"


def generate(w: Conv2dWorkload, config: Conv2dWinogradConfig, target: Target) -> Kernel:
    return build_kernel(w, config, target, "winograd_under_test", 0.0)


def configs(w: Conv2dWorkload, target: Target, outputs: int = 0) -> list[Conv2dWinogradConfig]:
    found = get_configs(w, target, ANY_ERROR)
    return [config for config in found if not outputs or config.outputs == outputs]


@each_target
def test_any_shape_with_any_configuration(target: Target) -> None:
    @repeatable(examples(target, 12))
    @given(w=workloads(), data=st.data())
    def holds(w: Conv2dWorkload, data: st.DataObject) -> None:
        config = data.draw(st.sampled_from(configs(w, target)))
        check(generate(w, config, target), config, w, target)

    holds()


TILES = [(3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (5, 2), (5, 3), (5, 4)]
#: Tiles of a block along height and width, and whether the last tile of an axis is a short one.
CUTS = [(2, 2, True), (3, 3, False)]


@pytest.mark.parametrize(("kernel", "outputs"), TILES)
def test_every_tile_size_with_short_tiles_and_several_blocks(kernel: int, outputs: int) -> None:
    target = TARGETS[-1]
    extent = 3 * outputs + outputs // 2
    w = replace(same(5, extent, kernel, 2 * target.isa.vec_lanes + 1), in_w=extent + 1, batch=2)
    config = next(c for c in configs(w, target, outputs) if c.tile_oc == 2)
    for rows, cols, short in CUTS:
        cut = replace(
            config,
            block_rows=min(rows, math.ceil(w.out_h / outputs)),
            block_cols=min(cols, math.ceil(w.out_w / outputs)),
            short_rows=short and w.out_h % outputs > 0,
            short_cols=short and w.out_w % outputs > 0,
        )
        check(generate(w, cut, target), cut, w, target)


def test_tasks_that_share_the_transformed_input() -> None:
    w = same(64, 13, 3, 96)
    config = next(c for c in configs(w, HOST, 4) if c.shared)
    for group_ic, rows, chunk in ((1, 2, 2), (3, 4, 1), (3, 3, 1)):
        cut = replace(config, group_ic=group_ic, block_rows=rows, chunk_oc=chunk, tile_oc=2)
        kernel = generate(w, cut, HOST)
        assert len(kernel.prim_func.body.block.body.seq) == 2
        assert len(kernel.prim_func.body.block.alloc_buffers) == 1
        check(kernel, cut, w, HOST)


def test_passes_over_the_input_channels_add_up_and_round_less() -> None:
    w = replace(same(256, 10, 3, 32), epilogue=Epilogue())
    config = next(c for c in configs(w, HOST, 4) if c.tile_oc == 1)
    tensors = arrays(w)
    expected = references.conv2d(w, *tensors)
    errors = []
    for chunk in (256, 64):
        cut = replace(config, chunk_ic=chunk)
        error: F64 = run(generate(w, cut, HOST), w, HOST, tensors) - expected
        errors.append(float(np.sqrt((error**2).mean())))
    assert errors[1] < 0.8 * errors[0]


def test_multiplication_by_lane_and_pairs_of_tiles() -> None:
    """What NEON gets, on this machine: coefficients and inputs as lanes, two tiles a turn."""
    target = TARGETS[-1]
    assert target.isa.vec_lanes == 4
    simd = mk.Simd(lanes=4, by_lane=True, call_fma=False, call_max=False)
    for w, outputs in ((same(13, 11, 3, 21), 4), (same(8, 9, 3, 8), 6), (same(6, 13, 5, 9), 2)):
        config = next(c for c in configs(w, target, outputs) if c.tile_oc == 2)
        geometry = Geometry(w, config, 4)
        constants = transform_constants(geometry, simd)
        head = tuple(constants.table) + (0.0,) * (constants.elements - len(constants.table))
        assert constants.table
        kernel = Kernel(
            name="by_lane",
            algorithm="winograd",
            prim_func=emit_kernel("by_lane", geometry, simd, 2),
            pack_weights=partial(pack_weights, geometry=geometry, head=head),
            pack_bias=partial(pack_channels, lanes=4),
            scratch_bytes=geometry.scratch_elements * 4,
        )
        check(kernel, config, w, target)


def offered(w: Conv2dWorkload, target: Target, limits: Limits = Limits()) -> Offer:  # noqa: B008
    answer = offer(w, target, limits, "blocked")
    assert isinstance(answer, Offer), answer
    return answer


@each_target
def test_offers_hold_what_they_state(target: Target) -> None:
    w = same(64, 14)
    answer = offered(w, target)
    kernel = answer.build()
    assert (kernel.name, kernel.cost) == (answer.name, answer.cost)
    assert kernel.scratch_bytes == answer.scratch_bytes
    assert f"error {answer.error:.1f} times" in kernel.reason
    check(kernel, geometry_of(answer, w, target).config, w, target)


def direct_outputs(w: Conv2dWorkload, tensors: Arrays) -> F32:
    answer = conv2d_direct.offer(w, HOST, Limits(), "blocked")
    assert isinstance(answer, Offer)
    return run(answer.build(), w, HOST, tensors)


ERROR_CASES = [
    (2, 3, 16, 16),
    (3, 3, 16, 16),
    (4, 3, 16, 16),
    (4, 3, 64, 64),
    (5, 3, 64, 64),
    (5, 3, 256, 64),
    (6, 3, 64, 64),
    (2, 5, 32, 32),
    (3, 5, 16, 16),
    (4, 5, 32, 32),
]


@pytest.mark.parametrize(("outputs", "kernel", "channels", "chunk"), ERROR_CASES)
def test_the_error_is_within_the_stated_factor(
    outputs: int, kernel: int, channels: int, chunk: int
) -> None:
    """Largest errors of 50000 outputs, against those of the direct convolution."""
    w = replace(same(channels, 20, kernel, 32), epilogue=Epilogue())
    config = replace(configs(w, HOST, outputs)[0], chunk_ic=chunk)
    stated = error_factor(Geometry(w, config, HOST.isa.vec_lanes))
    winograd = generate(w, config, HOST)
    worst = [0.0, 0.0]
    for seed in range(4):
        x, *others = arrays(w, seed)
        for data in (x, np.maximum(x, 0.0)):
            tensors = (data, *others)
            expected = references.conv2d(w, *tensors)
            found = run(winograd, w, HOST, tensors), direct_outputs(w, tensors)
            worst = [
                max(before, float(np.abs(y - expected).max()))
                for before, y in zip(worst, found, strict=True)
            ]
    assert worst[0] <= stated * worst[1], f"{worst[0] / worst[1]:.2f} times, {stated:.2f} stated"


#: Layers of ResNet-18, VGG-16 and GoogLeNet, and odd ones.
LAYERS = [
    *(same(64 << n, 56 >> n) for n in range(4)),
    same(64, 224),
    same(256, 56),
    same(512, 28),
    same(512, 14),
    same(96, 28, 3, 128),
    same(16, 28, 5, 32),
    same(48, 7, 5, 128),
    same(20, 33, 3, 50),
]
EVERY_TARGET = {target.isa.name: target for target in (*CORES.values(), *TARGETS)}


def geometry_of(answer: Offer, w: Conv2dWorkload, target: Target) -> Geometry:
    build: Any = answer.build
    return Geometry(w, build.args[1], target.isa.vec_lanes)


@pytest.mark.parametrize("isa", [name for name in EVERY_TARGET if name not in ("vfp", "softfp")])
def test_scratch_memory_and_error_stay_within_the_defaults(isa: str) -> None:
    target = EVERY_TARGET[isa]
    for w in LAYERS:
        answer = offered(w, target)
        geometry = geometry_of(answer, w, target)
        assert 0 < answer.scratch_bytes <= 1 << 20
        assert geometry.shared_elements * 4 <= 1 << 20
        assert answer.error <= 4.0


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a53", "cortex-a7"])
def test_layers_of_resnet_are_estimated_faster_than_direct(core: str) -> None:
    target = CORES[core]
    for w, least in zip(LAYERS[:4], (2.3, 2.3, 2.0, 1.3), strict=True):
        plain_offer = conv2d_direct.offer(w, target, Limits(), "blocked")
        assert isinstance(plain_offer, Offer)
        assert plain_offer.cost > least * offered(w, target).cost


def test_a_larger_error_allows_larger_tiles_and_a_smaller_one_smaller() -> None:
    w, target = LAYERS[0], CORES["cortex-a72"]
    sizes = {}
    for bound in (1.0, 4.0, 30.0):
        answer: Offer | Declined = offered(w, target, Limits(max_error=bound))
        assert isinstance(answer, Offer) and answer.error <= bound
        sizes[bound] = geometry_of(answer, w, target).config.outputs
    assert sizes == {1.0: 2, 4.0: 4, 30.0: 6}
    answer = offer(w, target, Limits(max_error=0.1), "blocked")
    assert isinstance(answer, Declined) and "keeps the error within 0.1" in answer.reason


def test_scratch_memory_is_limited_on_request() -> None:
    w = LAYERS[0]
    limits = Limits(max_workspace_bytes=200_000)
    assert offered(w, HOST, limits).scratch_bytes <= 200_000
    answer = offer(w, HOST, Limits(max_workspace_bytes=1000), "blocked")
    assert isinstance(answer, Declined) and "1000 bytes of scratch" in answer.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel_h": 1, "kernel_w": 1, "pad_top": 0}, "1x1, not 3x3 or 5x5"),
        ({"kernel_w": 5}, "3x5, not 3x3 or 5x5"),
        ({"stride_h": 2}, "strides"),
        ({"dilation_w": 2}, "strides and dilations"),
        ({"groups": 2}, "2 groups"),
        ({"in_h": 1, "pad_top": 0}, "empty"),
        ({"epilogue": Epilogue(activation=Activation("elu"))}, "'elu' is not fused"),
    ],
)
def test_declines_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    answer = offer(replace(same(16, 14), **changes), HOST, Limits(), "blocked")
    assert isinstance(answer, Declined)
    assert answer.family == "winograd" and reason in answer.reason


def test_declines_plain_inputs_and_cores_without_vectors() -> None:
    plain_input = offer(same(16, 14), HOST, Limits(), "NCHW")
    assert isinstance(plain_input, Declined) and "blocked" in plain_input.reason
    scalar = offer(same(16, 14), CORES["arm1176"], Limits(), "blocked")
    assert isinstance(scalar, Declined) and "no vectors" in scalar.reason


def test_code_and_weights_repeat() -> None:
    w = same(24, 14, 3, 40)
    first = offered(w, HOST).build()
    weights = arrays(w)[1]
    conv2d_winograd._ranked.cache_clear()
    build_kernel.cache_clear()
    second = offered(w, HOST).build()
    assert first is not second and first.name == second.name
    assert first.prim_func.script() == second.prim_func.script()
    assert first.pack_weights is not None and second.pack_weights is not None
    assert first.pack_weights(weights).tobytes() == second.pack_weights(weights).tobytes()


def test_the_cheapest_configuration_is_chosen() -> None:
    w = LAYERS[1]
    answer = offered(w, HOST)
    chosen = estimate(geometry_of(answer, w, HOST), HOST)
    every = [Geometry(w, config, HOST.isa.vec_lanes) for config in get_configs(w, HOST, 4.0)]
    fitting = [g for g in every if max(g.scratch_elements, g.shared_elements) * 4 <= 1 << 20]
    assert chosen.score == min(estimate(g, HOST).score for g in fitting)
    assert answer.cost == chosen.cycles
