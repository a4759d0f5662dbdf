"""Poolings against the formulas of their docstrings, window by window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgewright.models.layers.k_max_pooling import dynamic_k_max_pooling, k_max_pooling
from edgewright.models.layers.max_unpooling import MaxUnpooling, PoolUnpool
from edgewright.models.layers.sort_pooling import SortPooling
from edgewright.models.layers.spatial_pyramid_pooling import SpatialPyramidPooling
from edgewright.models.layers.stochastic_pooling import StochasticPooling
from tests.models.layers.formulas import Array, agree, given, run

Reduction = Callable[[Array], Array]


def pooled(
    x: Array, reduction: Reduction, shape: tuple[int, ...], stride: tuple[int, int], padding: int
) -> Array:
    """Reduces each window of 3x3; it gets the elements inside of the image only, [N, C, any]."""
    y = np.empty(shape)
    for h, w in np.ndindex(*shape[2:]):
        top, left = stride[0] * h - padding, stride[1] * w - padding
        window = x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3]
        y[:, :, h, w] = reduction(window.reshape(*window.shape[:2], -1))
    return y


def probability_weighted(window: Array) -> Array:
    active = np.maximum(window, 0)
    total = active.sum(axis=2, keepdims=True)
    chance = np.divide(active, total, out=np.zeros_like(active), where=total > 0)
    return np.asarray((chance * active).sum(axis=2))


@pytest.mark.parametrize(
    ("name", "reduction", "extents", "stride", "padding"),
    [
        ("max_pooling", lambda window: window.max(axis=2), (8, 9), (2, 2), 1),
        ("min_pooling", lambda window: window.min(axis=2), (7, 8), (2, 2), 0),
        ("average_pooling", lambda window: window.mean(axis=2), (8, 13), (2, 1), 1),
        ("l2_pooling", lambda window: np.sqrt((window**2).sum(axis=2)), (7, 8), (2, 2), 0),
        ("stochastic_pooling", probability_weighted, (7, 8), (2, 2), 0),
    ],
)
def test_windowed_poolings(
    name: str,
    reduction: Reduction,
    extents: tuple[int, int],
    stride: tuple[int, int],
    padding: int,
) -> None:
    case = given(name)
    shape = (*case.x.shape[:2], *extents)
    agree(case.outputs[0], pooled(case.x, reduction, shape, stride, padding))


def test_global_poolings() -> None:
    for name, reduction in (("global_average_pooling", np.mean), ("global_max_pooling", np.max)):
        case = given(name)
        agree(case.outputs[0], reduction(case.x, axis=(2, 3), keepdims=True))


def test_stochastic_pooling_of_nothing_positive_is_zero() -> None:
    (y,) = run(StochasticPooling(3, 2), -np.ones((1, 2, 5, 5), np.float32))
    assert y.shape == (1, 2, 2, 2) and not y.any()


def test_max_unpooling() -> None:
    case = given("max_unpooling")
    values, locations, y = case.outputs
    assert values.shape == locations.shape == (2, 5, 4, 7) and locations.dtype == np.int64
    expected = np.zeros((2, 5, 8, 14))
    for at in np.ndindex(*values.shape):
        h, w = 2 * at[2], 2 * at[3]
        window = case.x[at[0], at[1], h : h + 2, w : w + 2]
        assert locations[at] == window.argmax() and values[at] == window.max()
        expected[at[0], at[1], h + locations[at] // 2, w + locations[at] % 2] = window.max()
    assert np.array_equal(y, expected)
    assert len(np.unique(locations)) == 4


def test_overlapping_max_unpooling() -> None:
    case = given("overlapping_max_unpooling")
    values, locations, y = case.outputs
    assert values.shape == locations.shape == (2, 5, 5, 6)
    expected = np.zeros((2, 5, 11, 14))
    for at in np.ndindex(*values.shape):
        h, w = 2 * at[2], 2 * at[3]
        window = case.x[at[0], at[1], h : h + 3, w : w + 3]
        row, column = h + window.argmax() // 3, w + window.argmax() % 3
        assert locations[at] == 14 * row + column and values[at] == window.max()
        expected[at[0], at[1], row, column] = window.max()
    assert np.array_equal(y, expected)
    # Some were the largest of more than one window.
    assert np.count_nonzero(y) < values.size


def test_equal_elements_are_located_at_the_first() -> None:
    values, locations, y = run(PoolUnpool(3), np.full((1, 1, 3, 7), -2.0, np.float32))
    assert np.array_equal(values, [[[[-2, -2]]]]) and not locations.any()
    assert np.array_equal(np.argwhere(y[0, 0]), [[0, 0], [0, 3]])


def test_unpooling_takes_locations_of_another_tensor() -> None:
    x, locations = torch.tensor([[[[5.0, 7.0]]]]), torch.tensor([[[[3, 1]]]])
    y = MaxUnpooling(2)(x, locations)
    assert torch.equal(y, torch.tensor([[[[0.0, 0.0, 0.0, 7.0], [0.0, 5.0, 0.0, 0.0]]]]))


@pytest.mark.parametrize("extents", [(13, 10), (7, 5), (3, 1)])
def test_spatial_pyramid_pooling(extents: tuple[int, int]) -> None:
    x = np.random.default_rng(3).standard_normal((2, 6, *extents), dtype=np.float32)
    (y,) = run(SpatialPyramidPooling((4, 2, 1)), x)
    height, width = extents
    expected: list[Array] = []
    for n in (4, 2, 1):
        level = np.empty((2, 6, n, n))
        for i, j in np.ndindex(n, n):
            rows = slice(int(np.floor(i * height / n)), int(np.ceil((i + 1) * height / n)))
            columns = slice(int(np.floor(j * width / n)), int(np.ceil((j + 1) * width / n)))
            level[:, :, i, j] = x[:, :, rows, columns].max(axis=(2, 3))
        expected.append(level.reshape(2, -1))
    assert np.array_equal(y, np.concatenate(expected, axis=1))
    if extents == (13, 10):
        assert given("spatial_pyramid_pooling").outputs[0].shape == y.shape


def largest_in_order(row: Array, k: int) -> Array:
    kept = sorted(range(len(row)), key=lambda place: -row[place])[:k]
    return np.asarray(row[sorted(kept)])


def test_k_max_pooling() -> None:
    x = np.random.default_rng(4).standard_normal((2, 6, 23), dtype=np.float32)
    (y,) = run(k_max_pooling(), x)
    assert y.shape == (2, 6, 5)
    for at in np.ndindex(2, 6):
        assert np.array_equal(y[at], largest_in_order(x[at], 5))


def test_dynamic_k_max_pooling() -> None:
    lengths = np.array([0, 1, 4, 5, 6, 7, 12, 18, 19])
    x = np.random.default_rng(5).standard_normal((len(lengths), 5, 19), dtype=np.float32)
    (y,) = run(dynamic_k_max_pooling(), x, lengths)
    # Layer 1 of 3 keeps two thirds of a sentence, but at least 4, if it has as many words.
    counts = [0, 1, 4, 4, 4, 5, 8, 12, 13]
    assert y.shape == (len(lengths), 5, 13)
    for n, c in np.ndindex(len(lengths), 5):
        expected = largest_in_order(x[n, c, : lengths[n]], counts[n])
        assert np.array_equal(y[n, c, : counts[n]], expected)
        assert not y[n, c, counts[n] :].any()


@pytest.mark.parametrize("k", [8, 23, 26])
def test_sort_pooling(k: int) -> None:
    x = np.random.default_rng(6).standard_normal((2, 23, 7), dtype=np.float32)
    (y,) = run(SortPooling(23, k), x)
    assert y.shape == (2, k, 7)
    for graph, kept in zip(x, y, strict=True):
        order = sorted(range(23), key=lambda node: -graph[node, 6])
        assert np.array_equal(kept[:23], graph[order[:k]])
        assert not kept[23:].any()
    # However the nodes are numbered, they come out the same.
    (again,) = run(SortPooling(23, k), x[:, np.random.default_rng(7).permutation(23)])
    assert np.array_equal(again, y)
