from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.schedules.cpu import pool2d
from edgewright.schedules.kernel import Declined, Kernel
from edgewright.schedules.workload import Pool2dWorkload
from edgewright.spec.target import CORES, Target
from tests.schedules import references
from tests.schedules.emulation import Launch, run_emulated
from tests.schedules.execution import (
    F32,
    TARGETS,
    assert_close,
    blocked,
    each_target,
    examples,
    plain,
    run,
)
from tests.schedules.strategies import pools, repeatable


def chosen(w: Pool2dWorkload, target: Target) -> Kernel:
    """The global kernel where the window is the whole image."""
    answer = pool2d.offer_global(w, target)
    if isinstance(answer, Declined):
        answer = pool2d.offer_window(w, target)
    assert not isinstance(answer, Declined), answer
    return answer.build()


def output_shape(w: Pool2dWorkload, target: Target) -> tuple[int, ...]:
    lanes = target.isa.vec_lanes
    return (w.batch, math.ceil(w.channels / lanes), w.out_h, w.out_w, lanes)


def pooled(w: Pool2dWorkload, target: Target, x: F32) -> F32:
    """The kernel's result on this machine."""
    inputs = [blocked(x, target.isa.vec_lanes)]
    return plain(run(chosen(w, target), target, inputs, output_shape(w, target)), w.channels)


def image(w: Pool2dWorkload) -> F32:
    rng = np.random.default_rng(w.channels)
    return rng.standard_normal((w.batch, w.channels, w.in_h, w.in_w)).astype(np.float32)


@each_target
def test_window_of_any_shape(target: Target) -> None:
    @repeatable(examples(target, 36))
    @given(w=pools())
    def holds(w: Pool2dWorkload) -> None:
        x = image(w)
        assert_close(pooled(w, target, x), references.pool2d(w, x), w.kernel_h * w.kernel_w)

    holds()


@each_target
def test_window_over_the_whole_image(target: Target) -> None:
    @repeatable(examples(target, 15))
    @given(
        kind=st.sampled_from(["max", "average"]),
        channels=st.integers(1, 40),
        height=st.integers(1, 9),
        width=st.integers(1, 9),
    )
    def holds(kind: str, channels: int, height: int, width: int) -> None:
        w = Pool2dWorkload(kind, 2, channels, height, width, 1, 1, height, width)
        x = image(w)
        assert_close(pooled(w, target, x), references.pool2d(w, x), height * width)

    holds()


ONNX_CASES = {
    "max, resnet's": Pool2dWorkload("max", 1, 20, 15, 15, 8, 8, 3, 3, 2, 2, 1, 1, 1, 1),
    "max, ceil": Pool2dWorkload("max", 1, 20, 14, 14, 7, 7, 3, 3, 2, 2),
    "max, dilated": replace(
        Pool2dWorkload("max", 1, 20, 14, 14, 10, 10, 3, 3), dilation_h=2, dilation_w=2
    ),
    "average, padding left out": Pool2dWorkload(
        "average", 1, 20, 14, 14, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1
    ),
    "average, padding counted": Pool2dWorkload(
        "average", 1, 20, 14, 14, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, count_include_pad=True
    ),
    "average, ceil, padding counted": Pool2dWorkload(
        "average", 1, 20, 14, 15, 8, 8, 3, 3, 2, 2, 1, 1, 1, 1, count_include_pad=True
    ),
}


@pytest.mark.parametrize("case", ONNX_CASES)
def test_window_agrees_with_onnxruntime(case: str) -> None:
    w = ONNX_CASES[case]
    x = image(w)
    attributes: dict[str, object] = {
        "kernel_shape": [w.kernel_h, w.kernel_w],
        "strides": [w.stride_h, w.stride_w],
        "pads": [w.pad_top, w.pad_left, w.pad_bottom, w.pad_right],
        "dilations": [w.dilation_h, w.dilation_w],
        "ceil_mode": int("ceil" in case),
    }
    operator = "MaxPool" if w.kind == "max" else "AveragePool"
    if w.kind == "average":
        attributes["count_include_pad"] = int(w.count_include_pad)
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x"], ["y"], **attributes)],
        "pool",
        [onnx.helper.make_tensor_value_info("x", float32, x.shape)],
        [onnx.helper.make_tensor_value_info("y", float32, None)],
    )
    opset = onnx.helper.make_opsetid("", 19)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {"x": x})[0]
    assert expected.shape[2:] == (w.out_h, w.out_w)
    assert_close(pooled(w, TARGETS[0], x), expected.astype(np.float64), 9)


def test_tiles_that_differ_only_in_counted_padding_divide_by_their_own_counts() -> None:
    # The second tap is outside the image for every column, and for the last one, which is there by
    # ceil_mode, outside the padding too.
    w = Pool2dWorkload("average", 1, 4, 1, 31, 1, 16, 1, 2, 1, 2, 0, 0, 0, 30, 1, 31, True)
    x = image(w)
    assert_close(pooled(w, TARGETS[0], x), references.pool2d(w, x), 2)


def test_a_window_in_the_padding_is_finite() -> None:
    w = Pool2dWorkload("max", 1, 4, 1, 1, 2, 2, 1, 1, 1, 1, 0, 0, 1, 1)
    for kind in ("max", "average"):
        case = replace(w, kind=kind)
        x = image(case)
        assert_close(pooled(case, TARGETS[0], x), references.pool2d(case, x), 1)


def test_pools_decline_with_the_reason() -> None:
    window = Pool2dWorkload("max", 1, 4, 5, 5, 3, 3, 3, 3)
    lp = replace(window, kind="lp")
    answers = {
        "not the whole image": pool2d.offer_global(window, TARGETS[0]),
        "'lp' is none of max, average": pool2d.offer_window(lp, TARGETS[0]),
        "empty": pool2d.offer_window(replace(window, out_w=0), TARGETS[0]),
    }
    for reason, answer in answers.items():
        assert isinstance(answer, Declined)
        assert reason in answer.reason


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a53", "cortex-a7"])
def test_on_arm(core: str) -> None:
    target = CORES[core]
    workloads = [
        *ONNX_CASES.values(),
        Pool2dWorkload("max", 1, 12, 55, 55, 27, 27, 3, 3, 2, 2),
        Pool2dWorkload("max", 1, 12, 28, 28, 28, 28, 3, 3, 1, 1, 1, 1, 1, 1),
        Pool2dWorkload("average", 1, 12, 17, 17, 17, 17, 3, 3, 1, 1, 1, 1, 1, 1),
    ]

    @repeatable(20)
    @given(w=pools())
    def collect(w: Pool2dWorkload) -> None:
        workloads.append(w)

    collect()
    launches = [
        Launch(chosen(w, target), [blocked(image(w), 4)], output_shape(w, target))
        for w in workloads
    ]
    for w, y in zip(workloads, run_emulated(launches, target), strict=True):
        expected = references.pool2d(w, image(w))
        assert_close(plain(y, w.channels), expected, w.kernel_h * w.kernel_w)
