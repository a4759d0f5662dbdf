from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from edgewright.schedules.cpu import conv2d_transposed, conv2d_transposed_depthwise
from edgewright.schedules.cpu.conv2d_transposed_phases import phase_runs, phase_taps
from edgewright.schedules.kernel import Declined, Kernel
from edgewright.schedules.select import select_conv2d_transposed
from edgewright.schedules.workload import Activation, Conv2dTransposedWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.schedules import references
from tests.schedules.assembly import assembly, innermost_loops, multiply_adds, stack_references
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
from tests.schedules.strategies import repeatable, transposed_convolutions

Workload = Conv2dTransposedWorkload


def chosen(w: Workload, target: Target) -> Kernel:
    kernel = select_conv2d_transposed(w, target).kernel
    assert kernel is not None
    return kernel


def problem(w: Workload, target: Target, kernel: Kernel) -> tuple[Launch, F64]:
    """The kernel on random tensors, and what PyTorch computes from them in float64."""
    rng = np.random.default_rng(w.in_channels * 1000 + w.out_channels)
    lanes = target.isa.vec_lanes

    def normal(*shape: int) -> F32:
        return rng.standard_normal(shape).astype(np.float32)

    x = normal(w.batch, w.in_channels, w.in_h, w.in_w)
    weights = normal(w.in_channels, w.out_channels // w.groups, w.kernel_h, w.kernel_w)
    bias = normal(w.out_channels)
    residual = normal(w.batch, w.out_channels, w.out_h, w.out_w)
    assert kernel.pack_weights is not None
    inputs = [blocked(x, lanes), kernel.pack_weights(weights)]
    if w.epilogue.bias:
        assert kernel.pack_bias is not None
        inputs.append(kernel.pack_bias(bias))
    if w.epilogue.residual:
        inputs.append(blocked(residual, lanes))
    out_shape = (w.batch, math.ceil(w.out_channels / lanes), w.out_h, w.out_w, lanes)
    expected = references.conv2d_transposed(w, x, weights, bias, residual)
    return Launch(kernel, inputs, out_shape), expected


def check(w: Workload, target: Target) -> None:
    """Runs the chosen kernel here and compares it with PyTorch in float64."""
    launch, expected = problem(w, target, chosen(w, target))
    y = run(launch.kernel, target, launch.inputs, launch.out_shape)
    compare(w, y, expected)


def compare(w: Workload, y: F32, expected: F64) -> None:
    terms = w.in_channels // w.groups * w.kernel_h * w.kernel_w
    assert_close(plain(y, w.out_channels), expected, terms)


@each_target
def test_any_shape(target: Target) -> None:
    @repeatable(examples(target, 24))
    @given(w=transposed_convolutions())
    def holds(w: Workload) -> None:
        check(w, target)

    holds()


@each_target
def test_depthwise_of_any_shape(target: Target) -> None:
    @repeatable(examples(target, 18))
    @given(w=transposed_convolutions(depthwise=True))
    def holds(w: Workload) -> None:
        assert "depthwise" in chosen(w, target).name
        check(w, target)

    holds()


BIASED = Epilogue(bias=True, activation=Activation("relu"))
SHAPES = {
    "4x4 stride 2": Workload(1, 32, 14, 14, 32, 4, 4, 2, 2, 1, 1, 1, 1, epilogue=BIASED),
    "2x2 stride 2": Workload(1, 32, 14, 14, 16, 2, 2, 2, 2, epilogue=BIASED),
    "3x3 stride 2, output padding": Workload(
        1, 16, 9, 11, 20, 3, 3, 2, 2, 1, 1, 1, 1, out_pad_h=1, out_pad_w=1, epilogue=BIASED
    ),
    "stride 1": Workload(2, 12, 7, 9, 8, 3, 3, pad_top=1, pad_left=1, epilogue=BIASED),
    "stride beyond the kernel": Workload(1, 8, 5, 6, 8, 2, 2, 4, 5, epilogue=BIASED),
    "stride 16": Workload(1, 21, 4, 5, 21, 32, 32, 16, 16, 8, 8, 8, 8),
    "dilation with a common factor": Workload(
        1, 8, 6, 7, 8, 3, 3, 2, 4, dilation_h=2, dilation_w=6, epilogue=BIASED
    ),
    "one row": Workload(1, 16, 1, 30, 16, 1, 4, 1, 2, pad_left=1, pad_right=1),
    "groups": Workload(1, 24, 6, 7, 36, 3, 3, 2, 2, groups=3, epilogue=BIASED),
    "channel multiplier": Workload(1, 8, 6, 7, 16, 3, 3, 2, 2, groups=8),
    "bilinear upsampling": Workload(1, 21, 9, 9, 21, 4, 4, 2, 2, 1, 1, 1, 1, groups=21),
    "more output than the stride": Workload(1, 4, 1, 1, 4, 1, 1, 3, 3, out_pad_h=2),
    "all of the output's edge is padding": Workload(1, 4, 5, 5, 4, 3, 3, 2, 2, 4, 4, 4, 4),
    "many tasks": Workload(1, 48, 40, 40, 80, 4, 4, 2, 2, 1, 1, 1, 1),
}


@each_target
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_at_the_edges_of_the_schedule(shape: str, target: Target) -> None:
    check(SHAPES[shape], target)


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a7", "arm1176"])
def test_on_arm(core: str) -> None:
    target = CORES[core]
    workloads = [w for name, w in SHAPES.items() if name not in ("many tasks", "stride 16")]

    @repeatable(8)
    @given(w=transposed_convolutions())
    def collect(w: Workload) -> None:
        workloads.append(w)

    collect()
    problems = [problem(w, target, chosen(w, target)) for w in workloads]
    found = run_emulated([launch for launch, _ in problems], target)
    for w, y, (_, expected) in zip(workloads, found, problems, strict=True):
        compare(w, y, expected)


def test_phases_use_every_tap_of_the_kernel_once() -> None:
    for kernel, stride, pad, dilation in np.ndindex(6, 4, 4, 3):
        axis = {"kernel": kernel + 1, "stride": stride + 1, "pad": pad, "dilation": dilation + 1}
        taps = [tap for phase in range(stride + 1) for tap in phase_taps(phase, **axis)]
        assert sorted(taps) == list(range(kernel + 1))


def test_phases_that_need_equal_code_are_one_run() -> None:
    (run,) = phase_runs(out=28, kernel=2, stride=2, pad=0, dilation=1)
    assert (run.first, run.count, run.taps, run.pad, run.outputs) == (0, 2, 1, 0, 14)
    upsampling = phase_runs(out=512, kernel=64, stride=32, pad=16, dilation=1)
    assert [(run.count, run.taps, run.pad) for run in upsampling] == [(16, 2, 1), (16, 2, 0)]
    skipped = phase_runs(out=9, kernel=1, stride=3, pad=0, dilation=1)
    assert [(run.count, run.taps) for run in skipped] == [(1, 1), (2, 0)]


def test_nothing_is_multiplied_by_an_inserted_zero() -> None:
    """The phases' products are those of the definition, but for what the padding cuts off."""
    w = SHAPES["4x4 stride 2"]
    runs = phase_runs(out=w.out_h, kernel=4, stride=2, pad=1, dilation=1)
    products = sum(run.count * run.outputs * run.taps for run in runs)
    assert products == w.in_h * w.kernel_h


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72", "cortex-a76"])
@pytest.mark.parametrize("shape", ["4x4 stride 2", "2x2 stride 2", "many tasks"])
def test_neon_multiplies_by_lane_and_does_not_spill(shape: str, core: str) -> None:
    loops = innermost_loops(assembly(chosen(SHAPES[shape], CORES[core]), CORES[core]))
    working = [loop for loop in loops if multiply_adds(loop)]
    assert working
    for loop in working:
        assert not stack_references(loop), "\n".join(loop)
    most = max(working, key=lambda loop: len(multiply_adds(loop)))
    assert all(".s[" in line for line in multiply_adds(most))


@pytest.mark.parametrize(
    ("w", "family", "reason"),
    [
        (Workload(1, 8, 4, 4, 8, 1, 1, groups=8), conv2d_transposed, "family of their own"),
        (Workload(1, 8, 4, 4, 8, 1, 1, groups=3), conv2d_transposed, "do not divide"),
        (Workload(1, 8, 1, 1, 8, 1, 1, pad_top=1), conv2d_transposed, "empty"),
        (
            Workload(1, 8, 4, 4, 8, 1, 1, epilogue=Epilogue(activation=Activation("elu"))),
            conv2d_transposed,
            "'elu' is not fused",
        ),
        (Workload(1, 8, 4, 4, 16, 1, 1, groups=8), conv2d_transposed_depthwise, "8 groups of 8"),
        (Workload(1, 8, 1, 1, 8, 1, 1, pad_top=1), conv2d_transposed_depthwise, "empty"),
    ],
)
def test_families_decline_with_the_reason(w: Workload, family: object, reason: str) -> None:
    answer = family.offer(w, TARGETS[0])  # type: ignore[attr-defined]
    assert isinstance(answer, Declined)
    assert reason in answer.reason
