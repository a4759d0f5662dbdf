"""Writes ``OneHot`` with operators that TVM imports rightly."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_int,
    constant_array,
    is_onnx,
    static_shape,
)

__all__ = ["RewriteOneHot"]


class RewriteOneHot(ir.passes.InPlacePass):
    """Compares each index with every position.

    Case 1: ``OneHot`` with constant depth and values: ``Where(index == position or index + depth ==
        position, on, off)``; indices outside [-depth, depth) give only ``off``, as ONNX demands.

    TVM's importer returns float64 whatever the values are, and needs a scalar depth. A computed
    depth or value is left untouched, and refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "OneHot"):
                modified |= _rewrite(model.graph, node)
        return ir.passes.PassResult(model, modified)


def _rewrite(graph: ir.Graph, node: ir.Node) -> bool:
    indices, shape = node.inputs[0], static_shape(node.inputs[0])
    depth, values = constant_array(node.inputs[1]), constant_array(node.inputs[2])
    if indices is None or shape is None or depth is None or values is None:
        return False
    rank = len(shape) + 1
    axis = attribute_int(node, "axis", -1) % rank
    size = int(depth.reshape(()).astype(np.int64))
    expanded_shape = (*shape[:axis], 1, *shape[axis:])
    full_shape = (*shape[:axis], size, *shape[axis:])
    rewrite = Rewrite(graph, node)
    if indices.dtype != ir.DataType.INT64:
        to = ir.Attr("to", ir.AttributeType.INT, int(ir.DataType.INT64))
        indices = rewrite.emit("Cast", indices, stem="indices", shape=shape, attributes=[to])
    axes = rewrite.constant("axis", np.array([axis], np.int64))
    expanded = rewrite.emit("Unsqueeze", indices, axes, stem="expanded", shape=expanded_shape)
    positions = np.arange(size, dtype=np.int64).reshape(size, *[1] * (rank - axis - 1))
    position = rewrite.constant("positions", positions)
    offset = rewrite.constant("depth", np.array(size, np.int64))
    wrapped = rewrite.emit("Add", expanded, offset, stem="wrapped", shape=expanded_shape)
    counted = rewrite.emit("Equal", expanded, position, stem="counted", shape=full_shape)
    from_end = rewrite.emit("Equal", wrapped, position, stem="from_end", shape=full_shape)
    hot = rewrite.emit("Or", counted, from_end, stem="hot", shape=full_shape)
    on, off = rewrite.constant("on", values[1]), rewrite.constant("off", values[0])
    rewrite.finish(rewrite.emit("Where", hot, on, off, stem="values", shape=full_shape))
    return True
