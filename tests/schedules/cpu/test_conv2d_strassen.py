from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import edgewright
from edgewright.schedules.cpu import conv2d_direct, conv2d_strassen
from edgewright.schedules.cpu.conv2d_strassen_config import PRODUCTS, Product, Quarter
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.select import select_conv2d
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES, Target
from tests.compiler.graphs import model, node, weights
from tests.schedules import references
from tests.schedules.cpu.scratch_kernels import arrays, check_convolution, run_convolution
from tests.schedules.execution import TARGETS, each_target, examples
from tests.schedules.strategies import epilogues, repeatable

HOST = TARGETS[0]


def offered(w: Conv2dWorkload, target: Target) -> Offer:
    answer = conv2d_strassen.offer(w, target, Limits(), "blocked")
    assert isinstance(answer, Offer), answer
    return answer


@st.composite
def pointwise(draw: DrawFn, lanes: int) -> Conv2dWorkload:
    """1x1 convolutions of whole halves: few or many blocks, tails of tiles, batches."""
    return Conv2dWorkload(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_channels=2 * lanes * draw(st.integers(1, 3)),
        in_h=draw(st.sampled_from([1, 2, 3, 5])) * 2,
        in_w=draw(st.integers(1, 13)),
        out_channels=2 * lanes * draw(st.integers(1, 5)),
        kernel_h=1,
        kernel_w=1,
        epilogue=draw(epilogues()),
    )


def check(kernel: Kernel, w: Conv2dWorkload, target: Target) -> None:
    error, largest = check_convolution(kernel, w, target)
    assert error <= 1e-6 * (1.0 + math.sqrt(w.in_channels)) * max(1.0, largest)


@each_target
def test_any_pointwise_convolution(target: Target) -> None:
    @repeatable(examples(target, 24))
    @given(w=pointwise(target.isa.vec_lanes))
    def holds(w: Conv2dWorkload) -> None:
        check(offered(w, target).build(), w, target)

    holds()


@each_target
def test_every_tile_computes_the_same(target: Target) -> None:
    lanes = target.isa.vec_lanes
    w = Conv2dWorkload(1, 4 * lanes, 6, 9, 10 * lanes, 1, 1, epilogue=Epilogue(bias=True))
    for each in offered(w, target).others()[::7]:
        check(each.build(), w, target)


def test_large_images_are_cut_into_tasks() -> None:
    w = Conv2dWorkload(1, 64, 40, 42, 64, 1, 1)
    kernel = offered(w, HOST).build()
    check(kernel, w, HOST)
    statements = kernel.prim_func.body.block.body.seq
    assert len(statements) == 2
    assert all(int(loop.extent) > 1 for loop in statements)


def term(matrix: np.ndarray, terms: tuple[tuple[int, Quarter], ...]) -> np.ndarray:
    total: np.ndarray = sum(
        sign * matrix[row * 2 : row * 2 + 2, column * 2 : column * 2 + 2]
        for sign, (row, column) in terms
    )
    return total


def test_seven_products_make_a_matrix_product() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, (4, 4)) for _ in range(2))
    c = np.zeros((4, 4), int)
    for product in PRODUCTS:
        m = term(a, product.weights) @ term(b, product.inputs)
        for sign, (row, column) in product.adds:
            c[row * 2 : row * 2 + 2, column * 2 : column * 2 + 2] += sign * m
    assert len(PRODUCTS) == 7
    assert np.array_equal(c, a @ b)


def test_each_quarter_is_set_first_and_ended_last() -> None:
    def users(quarter: Quarter) -> list[Product]:
        return [p for p in PRODUCTS if quarter in (q for _, q in p.adds)]

    for quarter in ((0, 0), (0, 1), (1, 0), (1, 1)):
        found = users(quarter)
        assert [quarter in p.sets for p in found] == [True] + [False] * (len(found) - 1)
        assert [quarter in p.ends for p in found] == [False] * (len(found) - 1) + [True]
    assert all(sign == 1 for p in PRODUCTS if len(p.adds) == 1 for sign, _ in p.adds)


@pytest.mark.parametrize("channels", [64, 256, 1024])
@pytest.mark.parametrize("rectified", [False, True])
def test_the_error_is_within_the_stated_factor(channels: int, rectified: bool) -> None:
    """Largest errors of 25000 outputs, against those of the direct convolution."""
    w = Conv2dWorkload(1, channels, 14, 14, 128, 1, 1)
    x, *rest = arrays(w)
    tensors = (np.maximum(x, 0.0) if rectified else x, *rest)
    expected = references.conv2d(w, *tensors)
    direct = conv2d_direct.offer(w, HOST, Limits(), "blocked")
    assert isinstance(direct, Offer)
    errors = [
        float(np.abs(run_convolution(each.build(), w, HOST, tensors) - expected).max())
        for each in (direct, offered(w, HOST))
    ]
    assert errors[1] <= conv2d_strassen.ERROR * errors[0]


def test_a_small_error_limit_excludes_it() -> None:
    w = Conv2dWorkload(1, 512, 14, 14, 512, 1, 1)
    assert "strassen" in select_conv2d(w, HOST).kernel.name  # type: ignore[union-attr]
    strict = select_conv2d(w, HOST, Limits(max_error=1e-7))
    assert strict.kernel is not None and "strassen" not in strict.kernel.name
    assert any("strassen: its error, 3 times" in str(declined) for declined in strict.declined)


@pytest.mark.parametrize(
    ("w", "layout", "reason"),
    [
        (Conv2dWorkload(1, 64, 8, 8, 64, 3, 3), "blocked", "only 1x1"),
        (Conv2dWorkload(1, 64, 8, 8, 64, 1, 1, stride_h=2), "blocked", "only 1x1"),
        (Conv2dWorkload(1, 64, 8, 8, 64, 1, 1, pad_top=1), "blocked", "padded"),
        (Conv2dWorkload(1, 64, 8, 8, 64, 1, 1), "NCHW", "blocked activations"),
        (Conv2dWorkload(1, 64, 7, 7, 64, 1, 1), "blocked", "49 pixels have no halves"),
        (Conv2dWorkload(1, 64, 8, 8, 20, 1, 1), "blocked", "no even number of 4-blocks"),
        (
            Conv2dWorkload(1, 64, 8, 8, 64, 1, 1, epilogue=Epilogue(activation=Activation("elu"))),
            "blocked",
            "'elu' is not fused",
        ),
    ],
)
def test_declines_with_the_reason(w: Conv2dWorkload, layout: str, reason: str) -> None:
    answer = conv2d_strassen.offer(w, CORES["cortex-a72"], Limits(), layout)
    assert isinstance(answer, Declined)
    assert reason in answer.reason


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi2"])
def test_parity_through_the_whole_pipeline(target: str, tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("Relu", "a", "b"),
        node("Conv", "b v", "c"),
        node("Add", "c b", "y"),
    ]
    constants = {"w": weights(96, 64, 1, 1), "v": weights(96, 96, 1, 1, seed=1)}
    made = model(nodes, {"x": (1, 64, 6, 11)}, {"y": (1, 96, 6, 11)}, constants)
    path = tmp_path / "pointwise.onnx"
    onnx.save(made, path)
    bundle = edgewright.compile(path, target, conv_algorithm="strassen")
    kernels = [step.kernel for step in bundle.manifest.layers if "conv2d" in step.kernel]
    assert all("strassen" in kernel for kernel in kernels) and len(kernels) == 4  # two phases each
    assert bundle.verify(path, on="host" if target == "host" else "qemu").passed
