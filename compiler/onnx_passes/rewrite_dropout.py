"""Writes a ``Dropout`` in inference, and its mask: everything is kept."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    constant_array,
    is_used,
    static_shape,
)
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteDropout"]


class RewriteDropout(NodeRewrite):
    """Hands its input on.

    Case 1: ``Dropout`` whose ``training_mode`` is absent or constant false, or whose ``ratio`` is
        constant 0: the input, and a mask of true if it is read.
    """

    operators: ClassVar[tuple[str, ...]] = ("Dropout",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, shape = node.inputs[0], static_shape(node.inputs[0])
        ratio, training = (
            constant_array(node.inputs[index]) if len(node.inputs) > index else None
            for index in (1, 2)
        )
        asked = len(node.inputs) > 2 and node.inputs[2] is not None
        trains = asked and (training is None or bool(training.any()))
        if trains and (ratio is None or bool(ratio.any())):
            return None
        copy = make.emit("Identity", source, stem="copy")
        if len(node.outputs) < 2 or not is_used(node.outputs[1]):
            return [copy]
        if shape is None:
            return None
        mask = make.constant("kept", np.ones(shape, bool))
        return [copy, make.emit("Identity", mask, stem="mask", shape=shape)]
