"""What formulas of documented layers are written with: NumPy in float64, window by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from edgewright.models.registry import build, find_model

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Case:
    """A documented layer on a batch of random inputs.

    Attributes:
        layer: with seeded weights.
        state: its weights, float64, by name.
        inputs: float64 or integers.
        outputs: what the layer gives.
    """

    layer: nn.Module
    state: Mapping[str, Array]
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]

    @property
    def x(self) -> Array:
        return self.inputs[0]


def given(name: str, batch: int = 2) -> Case:
    """The registry's layer of that name on ``batch`` inputs of the registry's extents."""
    layer = build(name, seed=1)
    rng = np.random.default_rng(2)
    inputs = tuple(
        rng.standard_normal((batch, *value.shape[1:]), dtype=np.float32)
        if value.dtype == "float32"
        else rng.integers(value.low, value.below, (batch, *value.shape[1:]))
        for value in find_model(name).inputs
    )
    state = {key: value.double().numpy() for key, value in layer.state_dict().items()}
    wide = tuple(v.astype(np.float64) if v.dtype == np.float32 else v for v in inputs)
    return Case(layer, state, wide, run(layer, *inputs))


def run(layer: nn.Module, *inputs: Array) -> tuple[Array, ...]:
    """The layer's outputs, as many as it has."""
    with torch.no_grad():
        answer = layer(*(torch.from_numpy(value) for value in inputs))
    return tuple(value.numpy() for value in (answer if isinstance(answer, tuple) else (answer,)))


def agree(actual: Array, expected: Array) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def look(x: Array, rows: Array, columns: Array, outside: float = 0.0) -> Array:
    """``x[..., rows[h], columns[w]]``, and ``outside`` where there is no such element."""
    height, width = x.shape[-2:]
    exists = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    seen = x[..., rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    return np.where(exists, seen, outside)


def convolve(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """A 2-d convolution of ``NCHW`` by ``OIHW``, summed element by element of the window."""
    taps = kernel.shape[2:]
    extents = [
        (extent + 2 * pad - step * (tap - 1) - 1) // move + 1
        for extent, pad, step, tap, move in zip(
            x.shape[2:], padding, dilation, taps, stride, strict=True
        )
    ]
    y = np.zeros((x.shape[0], kernel.shape[0], *extents))
    ins, outs = x.shape[1] // groups, kernel.shape[0] // groups
    for r, s in np.ndindex(*taps):
        rows = stride[0] * np.arange(extents[0]) + dilation[0] * r - padding[0]
        columns = stride[1] * np.arange(extents[1]) + dilation[1] * s - padding[1]
        seen = look(x, rows, columns)
        for g in range(groups):
            of_x, of_y = slice(g * ins, (g + 1) * ins), slice(g * outs, (g + 1) * outs)
            y[:, of_y] += np.einsum("nihw,oi->nohw", seen[:, of_x], kernel[of_y, :, r, s])
    return y if bias is None else y + bias[:, None, None]


def between(x: Array, row: Array, column: Array) -> Array:
    """``x[..., row, column]`` for places between elements: linear both ways, 0 outside.

    Args:
        x: [..., H, W].
        row: places, of any shape ``P``.
        column: as ``row``.

    Returns:
        [..., P].
    """
    seen = np.zeros((*x.shape[:-2], *row.shape))
    for h, w in np.ndindex(*x.shape[-2:]):
        share = np.maximum(0, 1 - np.abs(row - h)) * np.maximum(0, 1 - np.abs(column - w))
        seen += x[..., h, w].reshape(*x.shape[:-2], *[1] * row.ndim) * share
    return seen


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
