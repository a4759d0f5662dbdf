"""Writes the slopes of an old ``PRelu`` so that they mean the same in newer opsets."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import add_constant, constant_array, is_onnx

__all__ = ["SpreadOldSlopes"]

#: From here on slopes broadcast from the last axis, as in numpy.
_BROADCASTS_SINCE = 7


class SpreadOldSlopes(ir.passes.InPlacePass):
    """Gives slopes of channels the shape that broadcasts along axis 1.

    Case 1: a ``PRelu`` before opset 7 with a constant vector of slopes: ``[C]`` becomes
        ``[C, 1, …]``. ONNX's version converter leaves it, and it would fall on the last axis.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Reshape in the main graph."""
        modified = False
        if model.graph.opset_imports.get("", 0) >= _BROADCASTS_SINCE:
            return ir.passes.PassResult(model, modified)
        for node in list(model.graph):
            if not is_onnx(node, "PRelu") or node.inputs[0] is None:
                continue
            slopes, shape = constant_array(node.inputs[1]), node.inputs[0].shape
            if slopes is None or slopes.ndim != 1 or slopes.size == 1 or shape is None:
                continue
            spread = slopes.reshape(-1, *[1] * (len(shape) - 2))
            value = add_constant(model.graph, f"{node.name}/slopes", np.ascontiguousarray(spread))
            node.replace_input_with(1, value)
            modified = True
        return ir.passes.PassResult(model, modified)
