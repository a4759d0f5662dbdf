"""Writes ``Swish`` with operators that TVM imports."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_float, is_onnx

__all__ = ["RewriteSwish"]


class RewriteSwish(ir.passes.InPlacePass):
    """Computes x * sigmoid(alpha * x), as ONNX opset 24 defines it.

    Case 1: ``Swish`` with alpha 1 becomes ``Sigmoid`` and ``Mul``.
    Case 2: ``Swish`` with another alpha also scales the sigmoid's argument.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            source = node.inputs[0] if node.inputs else None
            if not is_onnx(node, "Swish") or source is None or source.dtype is None:
                continue
            rewrite = Rewrite(graph, node)
            alpha = attribute_float(node, "alpha", 1.0)
            argument = source
            if alpha != 1.0:
                factor = rewrite.constant("alpha", np.array(alpha, source.dtype.numpy()))
                argument = rewrite.emit("Mul", source, factor, stem="argument")
            gate = rewrite.emit("Sigmoid", argument, stem="gate")
            rewrite.finish(rewrite.emit("Mul", source, gate, stem="gated"))
            modified = True
        return ir.passes.PassResult(model, modified)
