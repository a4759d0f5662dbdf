"""Folds batch norm, and any per-channel scale and shift, into the operators after it."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.affine import Chain, chain_from
from edgewright.compiler.onnx_passes.foldable import Folding, fold_before
from edgewright.compiler.onnx_passes.graph_edits import replace_nodes

__all__ = ["FoldBatchNormIntoConsumer"]


class FoldBatchNormIntoConsumer(ir.passes.InPlacePass):
    """Lets convolutions and matrix products compute the scale and shift that precedes them.

    Case 1: a chain (see ``FoldBatchNorm``) before ``Conv`` without padding.
    Case 2: a chain without shift before ``Conv`` with padding.
    Case 3: a chain before ``Gemm`` or ``MatMul`` with a constant right factor.

    All readers of the chain must be able to fold it. A chain with a shift before a padded
    convolution is left untouched: the padded zeros come after the shift.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            if node.graph is not graph:
                continue
            chain = chain_from(node)
            foldings = None if chain is None else _plan(chain)
            if chain is None or not foldings:
                continue
            _apply(graph, chain, foldings)
            modified = True
        return ir.passes.PassResult(model, modified)


def _plan(chain: Chain) -> list[Folding] | None:
    if chain.output.is_graph_output():
        return None
    foldings: list[Folding] = []
    for use in chain.output.uses():
        folding = fold_before(use.node, chain.affine) if use.idx == 0 else None
        if folding is None:
            return None
        foldings.append(folding)
    return foldings


def _apply(graph: ir.Graph, chain: Chain, foldings: list[Folding]) -> None:
    source = chain.source
    for folding in foldings:
        old = folding.node.outputs[0]
        written = folding.write(graph)
        written[0].replace_input_with(0, source)
        replace_nodes(graph, [folding.node], written, old, written[-1].outputs[0])
    graph.remove(list(reversed(chain.nodes)), safe=True)
