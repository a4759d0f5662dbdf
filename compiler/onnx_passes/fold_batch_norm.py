"""Folds batch norm, and any per-channel scale and shift, into the operator before it."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.affine import chain_after
from edgewright.compiler.onnx_passes.foldable import fold_after
from edgewright.compiler.onnx_passes.graph_edits import replace_nodes

__all__ = ["FoldBatchNorm"]


class FoldBatchNorm(ir.passes.InPlacePass):
    """Lets a convolution or matrix product compute the scale and shift that follows it.

    A chain is one or more of ``BatchNormalization`` (inference), ``Mul``, ``Add``, ``Sub``, ``Div``
    with a constant along one axis, and ``Neg``.

    Case 1: a chain after ``Conv`` (1d, 2d, 3d, grouped, depthwise, with or without bias).
    Case 2: a chain after ``ConvTranspose``.
    Case 3: a chain after ``Gemm`` with constant B and constant C or none.
    Case 4: a chain after ``MatMul`` with a constant factor; a shift that is left becomes one
        ``Add``.

    Untouched: weights that are computed, or would overflow; a result that anything else reads too
    (so a convolution that is used twice stays single); a chain along another axis than the output
    channels.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            if len(node.outputs) != 1 or node.graph is not graph:
                continue
            chain = chain_after(node.outputs[0])
            folding = None if chain is None else fold_after(node, chain.affine)
            if chain is None or folding is None:
                continue
            written = folding.write(graph)
            replace_nodes(
                graph, [node, *chain.nodes], written, chain.output, written[-1].outputs[0]
            )
            modified = True
        return ir.passes.PassResult(model, modified)
