"""The rules for GPUs: who claims what, and that the kernels compute it, in either order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tvm import te, tirx, topi

from edgewright.schedules.cpu.top_k import top_k
from edgewright.schedules.cuda import schedule_for_gpu
from edgewright.schedules.cuda.macs import count_macs
from tests.schedules.cuda.execution import GPU, launches_of, run_on_emulated_gpu

Array = npt.NDArray[Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def padded_conv(x: Array, w: Array, stride: int, groups: int = 1) -> Array:
    """A 2-d convolution with padding of half the window, by its definition, in float64."""
    n, _, h, wide = x.shape
    out, per_group, k, _ = w.shape
    pad = k // 2
    spread = np.pad(x.astype("float64"), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    oh, ow = (h + 2 * pad - k) // stride + 1, (wide + 2 * pad - k) // stride + 1
    y = np.zeros((n, out, oh, ow))
    for o in range(out):
        first = o // (out // groups) * per_group
        for i in range(oh):
            for j in range(ow):
                window = spread[:, first : first + per_group, i * stride :, j * stride :]
                y[:, o, i, j] = (window[:, :, :k, :k] * w[o]).sum((1, 2, 3))
    return y


def conv(shape: tuple[int, ...], weights: tuple[int, ...], stride: int, groups: int = 1) -> Any:
    x, w = te.placeholder(shape, name="x"), te.placeholder(weights, name="w")
    b = te.placeholder((1, weights[0], 1, 1), name="b")
    pad = weights[2] // 2
    y = (
        topi.nn.group_conv2d_nchw(x, w, stride, pad, 1, groups)
        if groups > 1
        else (topi.nn.conv2d_nchw(x, w, stride, pad, 1))
    )
    return te.create_prim_func([x, w, b, topi.nn.relu(topi.add(y, b))])


def check(
    func: Any,
    rule: str,
    inputs: list[Array],
    expected: Array,
    *,
    atol: float = 1e-4,
) -> None:
    scheduled = schedule_for_gpu(func, GPU)
    assert scheduled.rule == rule, scheduled.declined
    for reversed_threads in (False, True):
        out = np.full(expected.shape, np.nan, "float32")
        run_on_emulated_gpu(scheduled.func, [*inputs, out], reversed_threads=reversed_threads)
        np.testing.assert_allclose(out, expected, atol=atol, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "weights", "stride"),
    [
        ((1, 16, 14, 14), (32, 16, 3, 3), 1),
        ((2, 8, 9, 11), (24, 8, 3, 3), 2),
        ((1, 64, 7, 7), (40, 64, 1, 1), 1),
        ((1, 9, 20, 13), (17, 9, 5, 5), 1),
    ],
)
def test_convolution_is_a_product(
    shape: tuple[int, ...], weights: tuple[int, ...], stride: int
) -> None:
    x, w, b = random(*shape), random(*weights, seed=1), random(1, weights[0], 1, 1, seed=2)
    expected = np.maximum(padded_conv(x, w, stride) + b, 0)
    check(conv(shape, weights, stride), "product", [x, w, b], expected)


@pytest.mark.parametrize("groups", [4, 16])
def test_grouped_convolution_is_a_thread_for_each_element(groups: int) -> None:
    shape, weights = (1, 16, 10, 9), (32, 16 // groups, 3, 3)
    x, w, b = random(*shape), random(*weights, seed=1), random(1, 32, 1, 1, seed=2)
    expected = np.maximum(padded_conv(x, w, 1, groups) + b, 0)
    scheduled = schedule_for_gpu(conv(shape, weights, 1, groups), GPU)
    rule = "thread_per_element" if groups == 16 else "row_reduction"
    check(conv(shape, weights, 1, groups), rule, [x, w, b], expected)
    assert len(launches_of(scheduled.func)) == 1


@pytest.mark.parametrize(("rows", "k", "columns"), [(1, 300, 70), (3, 64, 33)])
def test_product_of_few_rows_is_a_reduction(rows: int, k: int, columns: int) -> None:
    x, w = te.placeholder((rows, k), name="x"), te.placeholder((k, columns), name="w")
    func = te.create_prim_func([x, w, topi.matmul(x, w)])
    a, b = random(rows, k), random(k, columns, seed=1)
    check(func, "row_reduction", [a, b], a.astype("float64") @ b)


def test_batched_product() -> None:
    x, w = te.placeholder((3, 20, 40), name="x"), te.placeholder((3, 24, 40), name="w")
    func = te.create_prim_func([x, w, topi.nn.batch_matmul(x, w)])
    a, b = random(3, 20, 40), random(3, 24, 40, seed=1)
    check(func, "product", [a, b], a.astype("float64") @ b.transpose(0, 2, 1))


def test_softmax_is_a_reduction_of_rows() -> None:
    x = te.placeholder((5, 100), name="x")
    a = random(5, 100) * 4
    e = np.exp(a - a.max(1, keepdims=True))
    check(te.create_prim_func([x, topi.nn.softmax(x)]), "row_reduction", [a], e / e.sum(1)[:, None])


def test_a_maximum_of_nothing_but_minus_infinity_stays_so() -> None:
    x = te.placeholder((3, 64), name="x")
    a = random(3, 64)
    a[1] = -np.inf
    check(te.create_prim_func([x, topi.max(x, axis=1)]), "row_reduction", [a], a.max(1))


def test_the_largest_finite_number_of_a_model_is_kept() -> None:
    x = te.placeholder((3, 64), name="x")
    lowest = float(np.finfo("float32").min)
    masked = te.compute((3, 64), lambda i, j: tirx.if_then_else(j < 60, x[i, j], lowest))
    func = te.create_prim_func([x, topi.max(masked, axis=1)])
    a = np.full((3, 64), -np.inf, "float32")
    check(func, "thread_per_element", [a], np.full(3, lowest, "float32"))


def test_pooling_and_elementwise() -> None:
    x = te.placeholder((1, 6, 13, 11), name="x")
    pooled = topi.nn.pool2d(x, (2, 2), (2, 2), (1, 1), (0, 0, 0, 0), "max")
    a = random(1, 6, 13, 11)
    expected = a[:, :, :12, :10].reshape(1, 6, 6, 2, 5, 2).max((3, 5))
    check(te.create_prim_func([x, topi.tanh(pooled)]), "thread_per_element", [a], np.tanh(expected))


def test_several_stages_become_several_launches() -> None:
    x = te.placeholder((4, 6), name="x")
    total = topi.sum(x, axis=1, keepdims=True)
    func = te.create_prim_func([x, topi.divide(x, total)])
    a = np.abs(random(4, 6)) + 1
    check(func, "thread_per_element", [a], a / a.sum(1, keepdims=True))


@pytest.mark.parametrize("terms", [7, 100])
def test_only_one_thread_stores_a_single_sum(terms: int) -> None:
    x = te.placeholder((1, terms), name="x")
    rule = "thread_per_element" if terms < 32 else "row_reduction"
    a = random(1, terms)
    check(te.create_prim_func([x, topi.sum(x, axis=1)]), rule, [a], a.sum(1))


def test_softmax_of_one_short_row() -> None:
    x = te.placeholder((1, 10), name="x")
    a = random(1, 10)
    e = np.exp(a - a.max())
    func = te.create_prim_func([x, topi.nn.softmax(x)])
    check(func, "thread_per_element", [a], e / e.sum())


def test_what_reads_a_sum_in_another_order_is_a_launch_of_its_own() -> None:
    x = te.placeholder((7, 9, 5), name="x")
    total = topi.sum(x, axis=2)
    flipped = te.compute((9, 7), lambda i, j: total[j, i] + 1.0, name="flipped")
    func = te.create_prim_func([x, flipped])
    a = random(7, 9, 5)
    check(func, "thread_per_element", [a], a.sum(2).T + 1)
    assert len(launches_of(schedule_for_gpu(func, GPU).func)) == 2


@pytest.mark.parametrize("elems", [63, 65, 100, 257, 1000])
def test_elements_that_do_not_fill_the_last_block(elems: int) -> None:
    x = te.placeholder((elems, 6), name="x")
    func = te.create_prim_func([x, topi.tanh(topi.sum(x, axis=1))])
    a = random(elems, 6)
    check(func, "thread_per_element", [a], np.tanh(a.sum(1)))
    assert len(launches_of(schedule_for_gpu(func, GPU).func)) == 1


def test_scalars() -> None:
    x = te.placeholder((), name="x")
    a = np.array(1.5, "float32")
    check(te.create_prim_func([x, topi.exp(x)]), "thread_per_element", [a], np.exp(a))


def test_sorting_runs_as_tasks() -> None:
    func = top_k("sort", 3, 20, 5, "float32", largest=True)
    scheduled = schedule_for_gpu(func, GPU)
    assert scheduled.rule == "tasks"
    x = random(3, 20)
    values, indices = np.zeros((3, 5), "float32"), np.zeros((3, 5), "int64")
    run_on_emulated_gpu(scheduled.func, [x, values, indices])
    np.testing.assert_array_equal(values, -np.sort(-x, axis=1)[:, :5])
    np.testing.assert_array_equal(np.take_along_axis(x, indices, 1), values)


@pytest.mark.parametrize(
    ("func", "macs"),
    [
        (lambda: conv((1, 16, 14, 14), (32, 16, 3, 3), 1), 32 * 14 * 14 * 16 * 9),
        (lambda: top_k("sort", 3, 20, 5, "float32", largest=True), 0),
    ],
)
def test_products_are_counted(func: Callable[[], Any], macs: int) -> None:
    assert count_macs(func()) == macs
