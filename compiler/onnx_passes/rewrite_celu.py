"""Writes ``Celu`` with operators that TVM imports."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_float, is_onnx

__all__ = ["RewriteCelu"]


class RewriteCelu(ir.passes.InPlacePass):
    """Computes the continuously differentiable exponential linear unit by its definition.

    Case 1: ``Celu``: max(0, x) + alpha * (exp(min(0, x) / alpha) - 1), after arXiv:1704.07483. The
        minimum stands inside the exponential, so that no large x overflows.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            source = node.inputs[0] if node.inputs else None
            if not is_onnx(node, "Celu") or source is None or source.dtype is None:
                continue
            dtype = source.dtype.numpy()
            rewrite = Rewrite(graph, node)
            alpha = rewrite.constant("alpha", np.array(attribute_float(node, "alpha", 1.0), dtype))
            one = rewrite.constant("one", np.array(1, dtype))
            zero = rewrite.constant("zero", np.array(0, dtype))
            negative = rewrite.emit("Clip", source, None, zero, stem="negative")
            exponent = rewrite.emit("Div", negative, alpha, stem="exponent")
            power = rewrite.emit("Exp", exponent, stem="power")
            decay = rewrite.emit("Sub", power, one, stem="decay")
            below = rewrite.emit("Mul", decay, alpha, stem="below")
            above = rewrite.emit("Relu", source, stem="above")
            rewrite.finish(rewrite.emit("Add", above, below, stem="sum"))
            modified = True
        return ir.passes.PassResult(model, modified)
