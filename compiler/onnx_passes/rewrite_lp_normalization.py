"""Writes ``LpNormalization`` with operators that TVM imports."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_int, static_shape
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteLpNormalization"]


class RewriteLpNormalization(NodeRewrite):
    """Divides by the norm along an axis, and leaves vectors of norm 0 as they are: zeros.

    Case 1: ``LpNormalization`` of float and ``p`` 1 or 2: ``x / where(norm == 0, 1, norm)``.
    """

    operators: ClassVar[tuple[str, ...]] = ("LpNormalization",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, shape = node.inputs[0], static_shape(node.inputs[0])
        p = attribute_int(node, "p", 2)
        if source is None or source.dtype is None or shape is None or p not in (1, 2):
            return None
        axis = attribute_int(node, "axis", -1) % len(shape)
        rows = tuple(1 if i == axis else extent for i, extent in enumerate(shape))
        dtype = source.dtype.numpy()
        axes = make.constant("axes", np.array([axis], np.int64))
        zero, one = (
            make.constant(name, np.array(value, dtype)) for name, value in (("zero", 0), ("one", 1))
        )
        norm = make.emit(f"ReduceL{p}", source, axes, stem="norm", shape=rows)
        empty = make.emit("Equal", norm, zero, stem="empty", shape=rows)
        divisor = make.emit("Where", empty, one, norm, stem="divisor", shape=rows)
        return [make.emit("Div", source, divisor, stem="quotient")]
