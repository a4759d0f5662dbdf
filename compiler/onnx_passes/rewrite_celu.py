"""Writes ``Celu`` with operators that TVM imports."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_float
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteCelu"]


class RewriteCelu(NodeRewrite):
    """Computes the continuously differentiable exponential linear unit by its definition.

    Case 1: ``Celu``: max(0, x) + alpha * (exp(min(0, x) / alpha) - 1), after arXiv:1704.07483. The
        minimum stands inside the exponential, so that no large x overflows.
    """

    operators: ClassVar[tuple[str, ...]] = ("Celu",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source = node.inputs[0]
        if source is None or source.dtype is None:
            return None
        dtype = source.dtype.numpy()
        alpha = make.constant("alpha", np.array(attribute_float(node, "alpha", 1.0), dtype))
        one = make.constant("one", np.array(1, dtype))
        zero = make.constant("zero", np.array(0, dtype))
        negative = make.emit("Clip", source, None, zero, stem="negative")
        exponent = make.emit("Div", negative, alpha, stem="exponent")
        power = make.emit("Exp", exponent, stem="power")
        decay = make.emit("Sub", power, one, stem="decay")
        below = make.emit("Mul", decay, alpha, stem="below")
        above = make.emit("Relu", source, stem="above")
        return [make.emit("Add", above, below, stem="sum")]
