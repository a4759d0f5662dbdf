"""Writes reductions of truth values with operators on numbers."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteBoolReductions"]


class RewriteBoolReductions(NodeRewrite):
    """Reduces 0 and 1.

    Case 1: ``ReduceMax`` and ``ReduceMin`` of booleans: converted to int32, reduced, and back. TVM
        has no smallest and no largest boolean to begin with.
    """

    operators: ClassVar[tuple[str, ...]] = ("ReduceMax", "ReduceMin")

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, *others = node.inputs
        if source is None or source.dtype != ir.DataType.BOOL:
            return None
        numbers = make.cast(source, ir.DataType.INT32, "numbers")
        attributes = node.attributes.values()
        reduced = make.emit(node.op_type, numbers, *others, stem="reduced", attributes=attributes)
        return [make.cast(reduced, ir.DataType.BOOL, "truth")]
