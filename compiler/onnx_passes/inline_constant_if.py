"""Replaces an ``If`` whose condition is known by the branch that is taken."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    constant_array,
    copy_tensor,
    fresh_name,
    is_onnx,
)

__all__ = ["InlineConstantIf"]


class InlineConstantIf(ir.passes.InPlacePass):
    """Moves the nodes of the branch that is taken into the main graph.

    Case 1: the condition is a constant: ``then_branch`` or ``else_branch`` replaces the node.

    A condition that is computed is left untouched, and refused by the guard.
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
            branch = "then_branch" if condition.any() else "else_branch"
            _inline(model.graph, node, node.attributes[branch].as_graph())
            modified = True
        return ir.passes.PassResult(model, modified)


def _inline(graph: ir.Graph, node: ir.Node, branch: ir.Graph) -> None:
    results = list(branch.outputs)
    branch.outputs.clear()
    for name, value in list(branch.initializers.items()):
        assert value.const_value is not None
        moved = fresh_name(graph, name)
        constant = ir.Value(
            name=moved,
            type=value.type,
            shape=value.shape,
            const_value=copy_tensor(value.const_value, moved),
        )
        value.replace_all_uses_with(constant)
        results = [constant if result is value else result for result in results]
        graph.register_initializer(constant)
    nodes = list(branch)
    branch.remove(nodes)
    for inner in nodes:
        for value in inner.outputs:
            if value.name:
                value.name = fresh_name(graph, value.name)
    graph.insert_before(node, nodes)
    for old, result in zip(node.outputs, results, strict=True):
        kept, old.name = old.name, None
        # An Identity keeps the output's name and copes with a branch that hands on an outer value.
        copy = ir.Node(
            "",
            "Identity",
            [result],
            outputs=[ir.Value(name=kept, type=old.type or result.type, shape=result.shape)],
            name=f"{node.name}/{kept}",
        )
        graph.insert_before(node, copy)
        old.replace_all_uses_with(copy.outputs[0], replace_graph_outputs=True)
    graph.remove(node, safe=True)
