"""Writes ``Celu`` with operators that TVM imports."""

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

__all__ = ["RewriteCelu"]


class RewriteCelu(ir.passes.InPlacePass):
    """Computes the continuously differentiable exponential linear unit by its definition.

    Case 1: ``Celu``: max(0, x) + alpha * (exp(min(0, x) / alpha) - 1), after arXiv:1704.07483. The
        minimum stands inside the exponential, so that no large x overflows.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            source = node.inputs[0] if node.inputs else None
            if not is_onnx(node, "Celu") or source is None or source.dtype is None:
                continue
            dtype = source.dtype.numpy()
            name, old = node.name or "", node.outputs[0]
            alpha = add_constant(
                graph, f"{name}/alpha", np.array(attribute_float(node, "alpha", 1.0), dtype)
            )
            one = add_constant(graph, f"{name}/one", np.array(1, dtype))
            zero = add_constant(graph, f"{name}/zero", np.array(0, dtype))
            nodes: list[ir.Node] = []

            def emit(
                op_type: str,
                *inputs: ir.Value | None,
                stem: str,
                name: str = name,
                old: ir.Value = old,
                nodes: list[ir.Node] = nodes,
            ) -> ir.Value:
                stem = f"{name}/{stem}"
                nodes.append(new_node(op_type, inputs, name=stem, like=old, output=stem))
                return nodes[-1].outputs[0]

            negative = emit("Clip", source, None, zero, stem="negative")
            power = emit("Exp", emit("Div", negative, alpha, stem="exponent"), stem="power")
            below = emit("Mul", emit("Sub", power, one, stem="decay"), alpha, stem="below")
            result = emit("Add", emit("Relu", source, stem="above"), below, stem="sum")
            replace_nodes(graph, [node], nodes, old, result)
            modified = True
        return ir.passes.PassResult(model, modified)
