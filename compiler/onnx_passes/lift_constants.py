"""Turns ``Constant`` nodes, whatever attribute holds the number, into initializers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import copy_tensor, is_onnx

__all__ = ["LiftConstants", "constant_tensor", "replace_by_constants"]


class LiftConstants(ir.passes.InPlacePass):
    """Makes every constant of the main graph an initializer.

    Case 1: ``value`` becomes an initializer of the same tensor.
    Case 2: ``value_int``, ``value_ints`` become int64; ``value_float``, ``value_floats`` float32.
    Case 3: ``value_string``, ``value_strings`` become a tensor of text, which is refused where it
        is still used in the end.
    Case 4: a constant that is an output of the graph becomes an initializer behind an ``Identity``.

    ``sparse_value`` is left untouched; ``load_model`` refuses it.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lift the constants of the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "Constant"):
                tensor = constant_tensor(node)
                if tensor is not None:
                    replace_by_constants(model.graph, node, [tensor])
                    modified = True
        return ir.passes.PassResult(model, modified)


def replace_by_constants(
    graph: ir.Graph, node: ir.Node, tensors: Sequence[ir.TensorProtocol]
) -> None:
    """Replace a node by one initializer, of the same name, for each of its outputs.

    Args:
        graph: the node's graph.
        node: removed; where an output is one of the graph's, an ``Identity`` takes its place.
        tensors: what the node computes, in the order of its outputs; renamed.
    """
    constants: list[ir.Value] = []
    for old, tensor in zip(node.outputs, tensors, strict=True):
        name = old.name or ""
        tensor = copy_tensor(tensor, f"{name}/constant" if old.is_graph_output() else name)
        kind = ir.TensorType(tensor.dtype)
        shape = ir.Shape(tensor.shape.numpy())
        value = ir.Value(name=tensor.name, shape=shape, type=kind, const_value=tensor)
        old.name = None
        if old.is_graph_output():
            output = ir.Value(name=name, shape=shape, type=kind)
            identity = ir.Node("", "Identity", [value], outputs=[output], name=node.name)
            graph.insert_after(node, identity)
            old.replace_all_uses_with(output, replace_graph_outputs=True)
        else:
            old.replace_all_uses_with(value)
        if name:
            constants.append(value)
    graph.remove(node, safe=True)
    for value in constants:
        graph.register_initializer(value)


def constant_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """What a ``Constant`` holds, or None if it is sparse or names a function's attribute."""
    if len(node.attributes) != 1:
        return None
    name, attribute = next(iter(node.attributes.items()))
    if attribute.is_ref():
        return None
    if name == "value":
        return attribute.as_tensor()
    if name == "value_int":
        return ir.Tensor(np.array(attribute.as_int(), np.int64))
    if name == "value_ints":
        return ir.Tensor(np.array(attribute.as_ints(), np.int64))
    if name == "value_float":
        return ir.Tensor(np.array(attribute.as_float(), np.float32))
    if name == "value_floats":
        return ir.Tensor(np.array(attribute.as_floats(), np.float32))
    if name == "value_string":
        return ir.StringTensor([attribute.as_string().encode()], shape=ir.Shape([]))
    if name == "value_strings":
        texts = [text.encode() for text in attribute.as_strings()]
        return ir.StringTensor(texts, shape=ir.Shape([len(texts)]))
    return None
