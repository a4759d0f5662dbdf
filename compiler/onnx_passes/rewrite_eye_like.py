"""Computes ``EyeLike``, which depends on a shape only."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_int, static_shape
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteEyeLike"]


class RewriteEyeLike(NodeRewrite):
    """Makes a constant of it.

    Case 1: ``EyeLike`` of a matrix of static shape: ones on the diagonal ``k``, of the type that
        ``dtype`` names, else of the input's.
    """

    operators: ClassVar[tuple[str, ...]] = ("EyeLike",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, shape = node.inputs[0], static_shape(node.inputs[0])
        if source is None or source.dtype is None or shape is None or len(shape) != 2:
            return None
        dtype = ir.DataType(attribute_int(node, "dtype", int(source.dtype)))
        ones = np.eye(*shape, k=attribute_int(node, "k", 0)).astype(dtype.numpy())
        return [make.emit("Identity", make.constant("eye", ones), stem="copy")]
