"""Gives every node a name of its own, for reports and messages."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["NameNodes"]


class NameNodes(ir.passes.InPlacePass):
    """Names nodes of the main graph.

    Case 1: a node without a name takes its operator and its first output: ``Conv:features.0``.
    Case 2: a name that an earlier node has too gets a number.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Name the nodes in graph order."""
        taken: set[str] = set()
        modified = False
        for node in model.graph:
            first = node.outputs[0].name if node.outputs else ""
            base = node.name or f"{node.op_type}:{first}"
            name, number = base, 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            taken.add(name)
            if node.name != name:
                node.name = name
                modified = True
        return ir.passes.PassResult(model, modified)
