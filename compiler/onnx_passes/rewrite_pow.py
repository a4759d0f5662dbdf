"""Writes powers of integers, and of two types, with operators of one floating-point type."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewritePow"]


class RewritePow(NodeRewrite):
    """Computes in float64 where base and exponent are no floats of one type.

    Case 1: ``Pow`` with an integer base, or an exponent of another type than the base: both are
        converted, and the power is converted to the base's type, rounded towards zero.

    Integer powers are exact up to 2**53; onnxruntime computes them in float64 too.
    """

    operators: ClassVar[tuple[str, ...]] = ("Pow",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        base, exponent = node.inputs
        if base is None or exponent is None or base.dtype is None or exponent.dtype is None:
            return None
        if base.dtype == exponent.dtype and base.dtype.is_floating_point():
            return None
        wide = [
            make.cast(value, ir.DataType.DOUBLE, stem)
            for value, stem in ((base, "base"), (exponent, "exponent"))
        ]
        return [make.cast(make.emit("Pow", *wide, stem="power"), base.dtype, "result")]
