"""Writes ``Swish`` with operators that TVM imports."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_float
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteSwish"]


class RewriteSwish(NodeRewrite):
    """Computes x * sigmoid(alpha * x), as ONNX opset 24 defines it.

    Case 1: ``Swish`` with alpha 1 becomes ``Sigmoid`` and ``Mul``.
    Case 2: ``Swish`` with another alpha also scales the sigmoid's argument.
    """

    operators: ClassVar[tuple[str, ...]] = ("Swish",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source = node.inputs[0]
        if source is None or source.dtype is None:
            return None
        alpha = attribute_float(node, "alpha", 1.0)
        argument = source
        if alpha != 1.0:
            factor = make.constant("alpha", np.array(alpha, source.dtype.numpy()))
            argument = make.emit("Mul", source, factor, stem="argument")
        gate = make.emit("Sigmoid", argument, stem="gate")
        return [make.emit("Mul", source, gate, stem="gated")]
