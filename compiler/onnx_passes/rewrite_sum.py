"""Writes sums of several tensors as additions of two."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    is_onnx,
    new_node,
    replace_nodes,
    static_shape,
)

__all__ = ["RewriteSum"]


class RewriteSum(ir.passes.InPlacePass):
    """Adds from left to right, as onnxruntime does.

    Case 1: ``Sum`` of two or more tensors of static shape becomes a chain of ``Add``.

    TVM's importer stacks the inputs and reduces the stack, which no convolution can take in as its
    residual.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            shapes = [static_shape(value) for value in node.inputs]
            if not is_onnx(node, "Sum") or len(shapes) < 2 or None in shapes:
                continue
            name, old = node.name or "", node.outputs[0]
            nodes: list[ir.Node] = []
            total, shape = node.inputs[0], shapes[0] or ()
            for index, value in enumerate(node.inputs[1:], start=1):
                shape = np.broadcast_shapes(shape, shapes[index] or ())
                stem = name if len(node.inputs) == 2 else f"{name}/{index}"
                last = index == len(node.inputs) - 1
                added = new_node(
                    "Add",
                    [total, value],
                    name=stem,
                    like=old,
                    output="" if last else f"{old.name}/{index}",
                    shape=shape,
                )
                nodes.append(added)
                total = added.outputs[0]
            replace_nodes(graph, [node], nodes, old, nodes[-1].outputs[0])
            modified = True
        return ir.passes.PassResult(model, modified)
