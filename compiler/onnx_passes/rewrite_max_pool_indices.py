"""Computes where the maxima of a ``MaxPool`` are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_int,
    attribute_ints,
    is_used,
    static_shape,
)
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteMaxPoolIndices"]

Places = npt.NDArray[np.int64]


class RewriteMaxPoolIndices(NodeRewrite):
    """Gathers each window's elements and asks which is the largest, the first one if several are.

    Case 1: ``MaxPool`` of floats and explicit pads, whose ``Indices`` are read::

            windows[n, c, p, k] = x[n, c, table[p, k]], or -inf outside of the image
            Indices[n, c, p] = (n C + c) S + table[p, ArgMax(windows)[n, c, p]]

        with ``S`` elements of an image, and ``table`` known when compiling. The maxima themselves
        stay a ``MaxPool``. ``storage_order=1`` counts an image's elements column by column.
    """

    operators: ClassVar[tuple[str, ...]] = ("MaxPool",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, shape = node.inputs[0], static_shape(node.inputs[0])
        result = static_shape(node.outputs[0])
        if len(node.outputs) < 2 or not is_used(node.outputs[1]):
            return None
        if source is None or source.dtype is None or shape is None or result is None:
            return None
        if not source.dtype.is_floating_point():
            return None
        table = _window_table(node, shape[2:], result[2:])
        maxima = make.emit("MaxPool", source, stem="maxima", attributes=node.attributes.values())
        return [maxima, _indices(node, make, source, shape, result, table)]


def _window_table(node: ir.Node, extents: Sequence[int], outputs: Sequence[int]) -> Places:
    """Position in the flattened image of each window's elements; -1 outside.

    Returns:
        int64[windows, elements of a window]
    """
    rank = len(extents)
    kernel = attribute_ints(node, "kernel_shape", ())
    strides = attribute_ints(node, "strides", [1] * rank)
    dilations = attribute_ints(node, "dilations", [1] * rank)
    pads = attribute_ints(node, "pads", [0] * (2 * rank))
    table = np.zeros((*outputs, *kernel), np.int64)
    outside = np.zeros(table.shape, bool)
    for axis, extent in enumerate(extents):
        starts = np.arange(outputs[axis]) * strides[axis] - pads[axis]
        places = starts[:, None] + np.arange(kernel[axis]) * dilations[axis]
        along = [1] * (2 * rank)
        along[axis], along[rank + axis] = places.shape
        places = places.reshape(along)
        outside |= (places < 0) | (places >= extent)
        table = table * extent + places
    table[outside] = -1
    return table.reshape(math.prod(outputs), -1)


def _indices(
    node: ir.Node,
    make: Rewrite,
    source: ir.Value,
    shape: tuple[int, ...],
    result: tuple[int, ...],
    table: Places,
) -> ir.Value:
    batch, channels, *extents = shape
    size, (windows, elements) = math.prod(extents), table.shape
    flat_shape = (batch, channels, size)
    assert source.dtype is not None
    lowest = np.full((batch, channels, 1), -np.inf, source.dtype.numpy())
    flat = make.emit(
        "Reshape",
        source,
        make.constant("flat_shape", np.array(flat_shape, np.int64)),
        stem="flat",
        shape=flat_shape,
    )
    axis = ir.Attr("axis", ir.AttributeType.INT, 2)
    padded = make.emit(
        "Concat",
        flat,
        make.constant("outside", lowest),
        stem="padded",
        shape=(batch, channels, size + 1),
        attributes=[axis],
    )
    places = make.constant("places", np.where(table < 0, size, table))
    gathered = make.emit(
        "Gather",
        padded,
        places,
        stem="windows",
        shape=(batch, channels, windows, elements),
        attributes=[axis],
    )
    largest = make.emit(
        "ArgMax",
        gathered,
        stem="largest",
        shape=(batch, channels, windows),
        attributes=[
            ir.Attr("axis", ir.AttributeType.INT, 3),
            ir.Attr("keepdims", ir.AttributeType.INT, 0),
        ],
    )
    first = make.constant("first", np.arange(windows, dtype=np.int64) * elements)
    chosen = make.emit("Add", largest, first, stem="chosen", shape=(batch, channels, windows))
    numbers = make.constant("numbers", _storage_numbers(node, table, extents).reshape(-1))
    found = make.emit("Gather", numbers, chosen, stem="found", shape=(batch, channels, windows))
    bases = np.arange(batch * channels, dtype=np.int64).reshape(batch, channels, 1) * size
    counted = make.emit(
        "Add",
        found,
        make.constant("bases", bases),
        stem="counted",
        shape=(batch, channels, windows),
    )
    target = make.constant("result_shape", np.array(result, np.int64))
    return make.emit("Reshape", counted, target, stem="indices", shape=result)


def _storage_numbers(node: ir.Node, table: Places, extents: Sequence[int]) -> Places:
    """The table as ``storage_order`` counts."""
    if not attribute_int(node, "storage_order", 0):
        return table
    strides = [1, *itertools.accumulate(extents[:-1], lambda a, b: a * b)]
    places = np.unravel_index(np.maximum(table, 0), tuple(extents))
    numbers = sum(place * stride for place, stride in zip(places, strides, strict=True))
    return np.asarray(numbers, np.int64)
