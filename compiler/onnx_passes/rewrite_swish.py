"""Writes ``Swish`` with operators that TVM imports."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    add_constant,
    attribute_float,
    is_onnx,
    new_node,
    replace_nodes,
)

__all__ = ["RewriteSwish"]


class RewriteSwish(ir.passes.InPlacePass):
    """Computes x * sigmoid(alpha * x), as ONNX opset 24 defines it.

    Case 1: ``Swish`` with alpha 1 becomes ``Sigmoid`` and ``Mul``.
    Case 2: ``Swish`` with another alpha also scales the sigmoid's argument.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            source = node.inputs[0] if node.inputs else None
            if not is_onnx(node, "Swish") or source is None or source.dtype is None:
                continue
            name, old = node.name or "", node.outputs[0]
            alpha = attribute_float(node, "alpha", 1.0)
            nodes: list[ir.Node] = []
            argument = source
            if alpha != 1.0:
                constant = add_constant(
                    graph, f"{name}/alpha", np.array(alpha, source.dtype.numpy())
                )
                stem = f"{name}/argument"
                nodes.append(
                    new_node("Mul", [source, constant], name=stem, like=old, output=stem)
                )
                argument = nodes[-1].outputs[0]
            stem = f"{name}/gate"
            nodes.append(new_node("Sigmoid", [argument], name=stem, like=old, output=stem))
            gate = nodes[-1].outputs[0]
            nodes.append(new_node("Mul", [source, gate], name=f"{name}/gated", like=old))
            replace_nodes(graph, [node], nodes, old, nodes[-1].outputs[0])
            modified = True
        return ir.passes.PassResult(model, modified)
