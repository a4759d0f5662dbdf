"""Resampling of blocked activations against onnxruntime, which also decides what a tie is."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import onnxruntime
import pytest

from edgewright.schedules.cpu import resize2d
from edgewright.schedules.kernel import Declined, Kernel
from edgewright.schedules.select import select_resize2d
from edgewright.schedules.workload import Resize2dWorkload
from edgewright.spec.target import CORES, Target
from tests.compiler.graphs import model, node
from tests.schedules.emulation import Launch, run_emulated
from tests.schedules.execution import F32, TARGETS, assert_close, blocked, each_target, plain, run

#: Extents of the input and of the output: whole factors, others, smaller, one pixel.
EXTENTS = ((5, 7, 10, 14), (3, 4, 12, 8), (5, 7, 8, 17), (9, 8, 4, 3), (6, 6, 6, 6), (1, 1, 3, 5))
METHODS = [("linear", "floor"), *(("nearest", rounding) for rounding in resize2d.ROUNDINGS)]


def workloads() -> list[Resize2dWorkload]:
    """Every mode on every pair of extents, channels with and without a tail."""
    return [
        Resize2dWorkload(1 + number % 2, 20 - number % 5, *extents, method, coordinates, rounding)
        for number, (extents, coordinates, (method, rounding)) in enumerate(
            product(EXTENTS, resize2d.COORDINATES, METHODS)
        )
    ]


def chosen(w: Resize2dWorkload, target: Target) -> Kernel:
    kernel = select_resize2d(w, target).kernel
    assert kernel is not None
    return kernel


def launch_of(w: Resize2dWorkload, target: Target) -> tuple[Launch, F32]:
    lanes = target.isa.vec_lanes
    shape = (w.batch, w.channels, w.in_h, w.in_w)
    x = np.random.default_rng(w.out_w).standard_normal(shape).astype(np.float32)
    out = (w.batch, math.ceil(w.channels / lanes), w.out_h, w.out_w, lanes)
    inputs = [blocked(x, lanes), resize2d.table(w)]
    return Launch(chosen(w, target), inputs, out), reference(w, x)


def reference(w: Resize2dWorkload, x: F32) -> F32:
    """What onnxruntime computes."""
    out = [w.batch, w.channels, w.out_h, w.out_w]
    resize = node(
        "Resize",
        "x _ _ sizes",
        "y",
        mode=w.method,
        coordinate_transformation_mode=w.coordinates,
        nearest_mode=w.rounding,
    )
    made = model([resize], {"x": x.shape}, {"y": out}, {"sizes": np.int64(out)})
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (result,) = session.run(None, {"x": x})
    y: F32 = np.asarray(result, np.float32)
    return y


@each_target
def test_every_mode(target: Target) -> None:
    for w in workloads():
        launch, expected = launch_of(w, target)
        y = run(launch.kernel, target, launch.inputs, launch.out_shape)
        assert_close(plain(y, w.channels), expected.astype(np.float64), 1)


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a7", "arm1176"])
def test_on_arm(core: str) -> None:
    cases = workloads()[::3]
    problems = [launch_of(w, CORES[core]) for w in cases]
    found = run_emulated([launch for launch, _ in problems], CORES[core])
    for w, y, (_, expected) in zip(cases, found, problems, strict=True):
        assert_close(plain(y, w.channels), expected.astype(np.float64), 1)


def test_whole_factors_of_nearest_neighbours_are_copies() -> None:
    w = Resize2dWorkload(1, 64, 28, 28, 56, 84, "nearest", "asymmetric", "floor")
    assert "whole" in chosen(w, TARGETS[0]).name
    shifted = Resize2dWorkload(1, 64, 28, 28, 56, 84, "nearest", "asymmetric", "ceil")
    assert "whole" not in chosen(shifted, TARGETS[0]).name


def test_many_rows_are_many_tasks() -> None:
    w = Resize2dWorkload(1, 16, 200, 200, 401, 399, "linear", "half_pixel")
    kernel = chosen(w, TARGETS[0])
    assert int(kernel.prim_func.body.block.body.extent) > 1
    launch, expected = launch_of(w, TARGETS[0])
    y = run(launch.kernel, TARGETS[0], launch.inputs, launch.out_shape)
    assert_close(plain(y, 16), expected.astype(np.float64), 1)


@pytest.mark.parametrize(
    ("w", "reason"),
    [
        (Resize2dWorkload(1, 4, 3, 3, 6, 6, "linear", "tf_crop_and_resize"), "tf_crop_and_resize"),
        (Resize2dWorkload(1, 4, 3, 3, 6, 6, "nearest", "asymmetric", "round"), "'round'"),
    ],
)
def test_declines_with_the_reason(w: Resize2dWorkload, reason: str) -> None:
    answer = resize2d.offer(w, TARGETS[0])
    assert isinstance(answer, Declined)
    assert reason in answer.reason
