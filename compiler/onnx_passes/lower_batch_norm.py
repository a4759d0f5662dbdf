"""Writes batch norm that could not be folded as a multiplication and an addition."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.affine import chain_from, match_affine, write_affine
from edgewright.compiler.onnx_passes.graph_edits import (
    add_constant,
    attribute_float,
    attribute_int,
    is_onnx,
    new_node,
    replace_nodes,
    static_shape,
)

__all__ = ["LowerBatchNorm"]


class LowerBatchNorm(ir.passes.InPlacePass):
    """Leaves no ``BatchNormalization`` for inference in the model.

    Case 1: constant parameters: the batch norm, with the scales and shifts that follow it, becomes
        ``Mul`` and ``Add`` with constants of shape (C, 1, …), computed in float64.
    Case 2: computed parameters: ``Sub``, ``Div``, ``Mul``, ``Add`` of the reshaped parameters.

    A batch norm in training mode, or with computed parameters of another type, is left untouched, and refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lower in the main graph."""
        graph = model.graph
        modified = False
        for node in list(graph):
            if node.graph is not graph or not is_onnx(node, "BatchNormalization"):
                continue
            if attribute_int(node, "training_mode", 0) or len(node.outputs) != 1:
                continue
            shape = static_shape(node.inputs[0])
            if shape is None or len(shape) < 2 or node.inputs[0] is None:
                continue
            if match_affine(node) is not None:
                _lower_constant(graph, node)
            elif len({value.dtype for value in node.inputs if value is not None}) == 1:
                _lower_computed(graph, node, len(shape))
            else:
                continue
            modified = True
        return ir.passes.PassResult(model, modified)


def _lower_constant(graph: ir.Graph, node: ir.Node) -> None:
    chain = chain_from(node)
    affine = match_affine(node)
    assert chain is not None and affine is not None
    nodes = [node]
    if chain.affine.is_finite:
        nodes, affine = list(chain.nodes), chain.affine
    written = write_affine(graph, chain.source, affine, node.name or "")
    replace_nodes(graph, nodes, written, nodes[-1].outputs[0], written[-1].outputs[0])


def _lower_computed(graph: ir.Graph, node: ir.Node, rank: int) -> None:
    old, name = node.outputs[0], node.name or ""
    source = node.inputs[0]
    full = static_shape(source)
    assert full is not None and old.dtype is not None
    column_shape = (full[1], *[1] * (rank - 2))
    column = add_constant(graph, f"{name}/column", np.array(column_shape, np.int64))
    epsilon = np.array(attribute_float(node, "epsilon", 1e-5), old.dtype.numpy())
    nodes: list[ir.Node] = []

    def emit(
        op_type: str, inputs: list[ir.Value | None], stem: str, shape: tuple[int, ...]
    ) -> ir.Value:
        stem = f"{name}/{stem}"
        nodes.append(new_node(op_type, inputs, name=stem, like=old, output=stem, shape=shape))
        return nodes[-1].outputs[0]

    stems = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (
        emit("Reshape", [node.inputs[index], column], stem, column_shape)
        for index, stem in enumerate(stems, start=1)
    )
    offset = add_constant(graph, f"{name}/epsilon", epsilon)
    guarded = emit("Add", [variance, offset], "guarded", column_shape)
    deviation = emit("Sqrt", [guarded], "deviation", column_shape)
    centred = emit("Sub", [source, mean], "centred", full)
    divided = emit("Div", [centred, deviation], "divided", full)
    scaled = emit("Mul", [divided, scale], "scaled", full)
    result = emit("Add", [scaled, bias], "shifted", full)
    replace_nodes(graph, [node], nodes, old, result)
