"""Sorts the results of ``TopK`` where their order is free."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import attribute_int, is_onnx

__all__ = ["SortTopK"]


class SortTopK(ir.passes.InPlacePass):
    """Asks ``TopK`` for sorted results, which are as right as any order.

    Case 1: ``TopK`` with ``sorted=0`` loses the attribute; sorted is ONNX's default.

    TVM's importer refuses ``sorted=0``.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite attributes in the main graph."""
        modified = False
        for node in model.graph:
            if is_onnx(node, "TopK") and not attribute_int(node, "sorted", 1):
                del node.attributes["sorted"]
                modified = True
        return ir.passes.PassResult(model, modified)
