"""Replaces an ``If`` whose condition is known by the branch that is taken."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import constant_array, is_onnx
from edgewright.compiler.onnx_passes.inline_graph import Inliner

__all__ = ["InlineConstantIf"]


class InlineConstantIf(ir.passes.InPlacePass):
    """Moves the nodes of the branch that is taken into the main graph.

    Case 1: the condition is a constant: ``then_branch`` or ``else_branch`` replaces the node.

    A condition that is computed is left untouched; see ``SelectBranch``.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Inline in the main graph."""
        modified = False
        for node in list(model.graph):
            if not is_onnx(node, "If"):
                continue
            condition = constant_array(node.inputs[0])
            if condition is None:
                continue
            name = "then_branch" if condition.any() else "else_branch"
            branch = node.attributes[name].as_graph()
            inliner = Inliner(model.graph, node)
            inliner.hoist(branch)
            inliner.finish(inliner.inline(branch, []))
            modified = True
        return ir.passes.PassResult(model, modified)
