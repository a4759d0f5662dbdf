"""Writes ``IsInf`` of one sign, which TVM's importer does not tell apart, as a comparison."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_int
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteIsInf"]


class RewriteIsInf(NodeRewrite):
    """Compares with the infinity that is asked for.

    Case 1: ``detect_negative=0`` or ``detect_positive=0`` becomes ``Equal``.
    Case 2: neither sign: nothing is infinite, ``x < -inf``.
    """

    operators: ClassVar[tuple[str, ...]] = ("IsInf",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source = node.inputs[0]
        negative, positive = (
            attribute_int(node, f"detect_{sign}", 1) for sign in ("negative", "positive")
        )
        if source is None or source.dtype is None or (negative and positive):
            return None
        value = np.array(np.inf if positive else -np.inf, source.dtype.numpy())
        operator = "Equal" if negative or positive else "Less"
        return [make.emit(operator, source, make.constant("infinity", value), stem="compared")]
