"""Writes ``TensorScatter``, the update of a cache of keys and values, as ``ScatterElements``."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_int,
    attribute_string,
    static_shape,
)
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteTensorScatter"]


class RewriteTensorScatter(NodeRewrite):
    """Gives every element of the update its place along the axis.

    Case 1: ``TensorScatter`` of known shapes: sample ``b`` of the update is written from position
        ``write_indices[b]`` on, or from 0; in mode ``circular`` the positions wrap around.
    """

    operators: ClassVar[tuple[str, ...]] = ("TensorScatter",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        cache, update = node.inputs[0], node.inputs[1]
        shape, update_shape = static_shape(cache), static_shape(update)
        if shape is None or update_shape is None:
            return None
        axis = attribute_int(node, "axis", -2) % len(shape)
        begins = node.inputs[2] if len(node.inputs) > 2 else None
        if begins is None:
            begins = make.constant("begins", np.zeros(shape[0], np.int64))
        column = [shape[0]] + [1] * (len(shape) - 1)
        row = [1] * len(shape)
        row[axis] = update_shape[axis]
        column_shape = make.constant("column", np.array(column, np.int64))
        begin = make.emit("Reshape", begins, column_shape, stem="begin", shape=column)
        begin.type = ir.TensorType(ir.DataType.INT64)
        steps = make.constant("steps", np.arange(row[axis], dtype=np.int64).reshape(row))
        places = self._sum(make, begin, steps, column, row)
        if attribute_string(node, "mode", "linear") == "circular":
            length = make.constant("length", np.array(shape[axis], np.int64))
            wrapped = make.emit("Mod", places, length, stem="wrapped", shape=static_shape(places))
            wrapped.type = places.type
            places = wrapped
        full = make.constant("full", np.array(update_shape, np.int64))
        spread = make.emit("Expand", places, full, stem="places", shape=update_shape)
        spread.type = places.type
        along = ir.Attr("axis", ir.AttributeType.INT, axis)
        return [
            make.emit("ScatterElements", cache, spread, update, stem="updated", attributes=[along])
        ]

    @staticmethod
    def _sum(
        make: Rewrite, begin: ir.Value, steps: ir.Value, column: list[int], row: list[int]
    ) -> ir.Value:
        shape = [max(extents) for extents in zip(column, row, strict=True)]
        places = make.emit("Add", begin, steps, stem="positions", shape=shape)
        places.type = ir.TensorType(ir.DataType.INT64)
        return places
