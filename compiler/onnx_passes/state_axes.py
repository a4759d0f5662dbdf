"""Writes the axes of ``MeanVarianceNormalization`` out."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import is_onnx

__all__ = ["StateAxes"]

#: Batch and image: what the operator normalizes over where it does not say.
_DEFAULT = (0, 2, 3)


class StateAxes(ir.passes.InPlacePass):
    """States the default.

    Case 1: ``MeanVarianceNormalization`` without ``axes``: 0, 2, 3. ONNX 1.23's shape inference
        fails on its definition, in which the axes are a constant, where the node has none.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Edit the main graph."""
        modified = False
        for node in model.graph:
            if is_onnx(node, "MeanVarianceNormalization") and "axes" not in node.attributes:
                node.attributes["axes"] = ir.Attr("axes", ir.AttributeType.INTS, _DEFAULT)
                modified = True
        return ir.passes.PassResult(model, modified)
