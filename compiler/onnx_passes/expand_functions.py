"""Writes operators that cannot be compiled as such the way ONNX itself defines them."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from edgewright.compiler.onnx_passes.graph_edits import (
    NODES_KEY,
    is_onnx,
    is_used,
    original_nodes,
)
from edgewright.compiler.onnx_passes.refusals import RULES, misfit_parameter
from edgewright.compiler.onnx_passes.supported_operators import SUPPORTED

__all__ = ["ExpandFunctions"]

#: Domain of the functions until they are inlined.
_DOMAIN = "edgewright.expanded"
#: Operators that have a definition, which does not help: random numbers, and calls of functions.
_LEFT = frozenset(("Bernoulli", "SequenceMap"))


class ExpandFunctions(ir.passes.InPlacePass):
    """Replaces operators by ONNX's own definition of them in simpler ones.

    Case 1: the operator is not supported: ``Attention``, ``RotaryEmbedding``, losses, windows.
    Case 2: it is, but not with these attributes, types or outputs: ``LayerNormalization`` whose
        mean is read.

    Where ONNX defines an operator by no function, or by one of operators that have another meaning
    in this model's opset, it is left untouched, and refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Expand in the main graph."""
        opset = model.graph.opset_imports[""]
        for node in list(model.graph):
            if node.domain != "" or is_onnx(node, *_LEFT) or not _is_refused(node):
                continue
            function = _definition(node, opset)
            if function is None:
                continue
            schema = onnx.defs.get_schema(node.op_type, opset)
            for name, attribute in schema.attributes.items():
                if name not in node.attributes and attribute.default_value.name:
                    node.attributes[name] = ir.serde.deserialize_attribute(attribute.default_value)
            node.metadata_props[NODES_KEY] = "\n".join(original_nodes(node))
            node.domain, node.overload = function.domain, function.overload
            model.functions[function.identifier()] = function
        result = InlinePass(lambda function: function.domain == _DOMAIN)(model)
        return ir.passes.PassResult(model, bool(result.modified))


def _is_refused(node: ir.Node) -> bool:
    if node.op_type not in SUPPORTED:
        return True
    if node.op_type == "LayerNormalization" and misfit_parameter(node) is not None:
        return False  # ONNX's definition flattens the axes, to which it cannot broadcast
    rule = RULES.get(node.op_type)
    return rule is not None and rule(node) is not None


def _definition(node: ir.Node, opset: int) -> ir.Function | None:
    """ONNX's definition of an operator for these inputs, in a model of this opset."""
    schema: Any = onnx.defs.get_schema(node.op_type, opset)  # its stubs lack the functions
    versions = [v for v in schema.function_opset_versions if v <= opset]
    by_context = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if versions:
        text = schema.get_function_with_opset_version(max(versions))
    elif by_context:
        types = _input_types(node)
        if types is None:
            return None
        text = schema.get_context_dependent_function_with_opset_version(
            max(by_context), ir.to_proto(node).SerializeToString(), types
        )
    else:
        return None
    proto = onnx.FunctionProto.FromString(text)
    if not proto.node or not all(_means_the_same(inner, opset) for inner in proto.node):
        return None
    computed = {name for inner in proto.node for name in inner.output} | {*proto.input}
    outputs = list(proto.output)[: len(node.outputs)]
    for name, value in zip(outputs, node.outputs, strict=True):
        if name not in computed and is_used(value):
            return None
    for name in outputs:
        if name not in computed:  # nobody reads it, and any value may stand in for it
            proto.node.append(onnx.helper.make_node("Identity", [outputs[0]], [name]))
    proto.output[:] = outputs
    proto.domain, proto.overload = _DOMAIN, node.name or ""
    del proto.opset_import[:]
    proto.opset_import.append(onnx.helper.make_opsetid("", opset))
    return ir.serde.deserialize_function(proto)


def _input_types(node: ir.Node) -> list[bytes] | None:
    types = []
    for value in node.inputs:
        proto = onnx.TypeProto()
        if value is not None:
            if value.type is None or value.shape is None:
                return None
            info = ir.to_proto(value)
            proto = info.type
        types.append(proto.SerializeToString())
    return types


def _means_the_same(node: onnx.NodeProto, opset: int) -> bool:
    """Whether an operator of a definition is valid in the model's opset.

    Definitions are of opset 13 and newer; operators that changed their meaning since, and not only
    their types, changed their attributes or inputs too, which the checker sees.
    """
    context = onnx.checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {"": opset}
    unbound = onnx.NodeProto()
    unbound.CopyFrom(node)
    for attribute in unbound.attribute:
        attribute.ClearField("ref_attr_name")
    try:
        onnx.checker.check_node(unbound, context)
    except onnx.checker.ValidationError:
        return False
    return True
