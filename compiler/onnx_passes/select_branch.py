"""Writes an ``If`` whose condition is computed as a choice between the results of both branches."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import is_onnx, static_shape
from edgewright.compiler.onnx_passes.inline_graph import Inliner, decline_types

__all__ = ["BRANCHES_KEY", "SelectBranch", "decline_if"]

#: ``metadata_props`` key of a ``Where`` that chooses between branches: they must agree in shape,
#: which the guard checks once it is known.
BRANCHES_KEY = "edgewright.branches"


class SelectBranch(ir.passes.InPlacePass):
    """Computes both branches.

    Case 1: ``If`` with outputs that are tensors: both branches move into the main graph, and each
        output is ``Where(condition, then, else)``. ONNX's operators have no side effects, so that
        it does no harm to run the branch that is not taken; it takes its time.

    Runs only where nothing else can be folded: a condition that becomes known later costs nothing.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "If") and decline_if(node) is None:
                _select(model.graph, node)
                modified = True
        return ir.passes.PassResult(model, modified)


def decline_if(node: ir.Node) -> str | None:
    """Why an ``If`` is left as it is, or None."""
    outputs = [
        value
        for name in ("then_branch", "else_branch")
        for value in node.attributes[name].as_graph().outputs
    ]
    return decline_types([*node.outputs, *outputs])


def _select(graph: ir.Graph, node: ir.Node) -> None:
    inliner = Inliner(graph, node)
    condition = node.inputs[0]
    assert condition is not None
    if static_shape(condition) != ():
        condition = inliner.emit("Squeeze", condition, stem="condition", like=condition)
    branches = []
    for name in ("then_branch", "else_branch"):
        branch = node.attributes[name].as_graph()
        inliner.hoist(branch)
        branches.append(inliner.inline(branch, [], name))
    results: list[ir.Value | None] = []
    for index, (then, other) in enumerate(zip(*branches, strict=True)):
        result = inliner.emit("Where", condition, then, other, stem=f"chosen/{index}", like=then)
        producer = result.producer()
        assert producer is not None
        producer.metadata_props[BRANCHES_KEY] = node.name or ""
        results.append(result)
    inliner.finish(results)
