"""What a model costs and what of it cannot be compiled, without compiling it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    attribute_string,
    static_shape,
)
from edgewright.compiler.onnx_passes.guard import Refusal, find_refusals
from edgewright.compiler.onnx_passes.infer_shapes import InferShapes
from edgewright.compiler.onnx_passes.name_nodes import NameNodes
from edgewright.compiler.onnx_passes.pipeline import rewrite
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.tensor import ITEM_BYTES, TensorSpec

__all__ = ["ModelAnalysis", "NodeAnalysis", "analyse", "unsupported"]

_SPELLED = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class NodeAnalysis:
    """One node.

    Attributes:
        name: the node's name, made up where the model has none.
        op: the operator, with its domain if that is not ONNX's.
        inputs: shapes of the inputs that are not weights; None where a shape is not known.
        outputs: shapes of the outputs.
        macs: multiply-accumulates; see :func:`analyse`.
        parameters: elements of the weights that the node reads.
        activation_bytes: bytes of the outputs.
    """

    name: str
    op: str
    inputs: tuple[tuple[int, ...] | None, ...]
    outputs: tuple[tuple[int, ...] | None, ...]
    macs: int
    parameters: int
    activation_bytes: int


@dataclass(frozen=True)
class ModelAnalysis:
    """A model.

    Attributes:
        inputs: what it takes.
        outputs: what it gives; those of unknown shape are left out.
        opset: version of ONNX's operator set.
        nodes: in graph order.
        operators: how often each operator occurs, the most frequent first.
        macs: multiply-accumulates of one inference.
        parameters: elements of all weights, each counted once.
        parameter_bytes: bytes of all weights.
        activation_bytes: bytes of all values between nodes; a plan reuses memory and needs less.
        largest_activation_bytes: bytes of the largest of them.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    nodes: tuple[NodeAnalysis, ...]
    operators: dict[str, int]
    macs: int
    parameters: int
    parameter_bytes: int
    activation_bytes: int
    largest_activation_bytes: int

    def to_json(self) -> dict[str, Any]:
        """The analysis in JSON's types."""
        return asdict(self)


def analyse(model: ir.Model) -> ModelAnalysis:
    """Count what one inference of the model does.

    Multiply-accumulates (MACs) are counted for matrix products only; everything else counts 0:

    - ``Conv``: output elements x input channels / groups x kernel elements;
    - ``ConvTranspose``: input elements x output channels / groups x kernel elements;
    - ``Gemm`` and ``MatMul``: output elements x the extent that is summed over;
    - ``Einsum``: product of the extents of all its letters, where the equation has no ellipsis.

    Args:
        model: as ``load_model`` or ``prepare`` returns it; left as it is.

    Returns:
        The analysis. Nodes whose shapes are not known count 0.

    Raises:
        ModelError: the shapes of the model contradict each other.
    """
    copy = model.clone()
    for item in (NameNodes(), InferShapes()):
        item(copy)
    nodes = tuple(_analyse_node(node) for node in copy.graph)
    weights = [value.const_value for value in copy.graph.initializers.values()]
    weights.extend(_constants(copy.graph))
    sizes = [node.activation_bytes for node in nodes]
    return ModelAnalysis(
        inputs=_specs(copy.graph.inputs),
        outputs=_specs(copy.graph.outputs),
        opset=copy.graph.opset_imports.get("", 0),
        nodes=nodes,
        operators=dict(Counter(node.op for node in nodes).most_common()),
        macs=sum(node.macs for node in nodes),
        parameters=sum(tensor.size for tensor in weights if tensor is not None),
        parameter_bytes=sum(tensor.nbytes for tensor in weights if tensor is not None),
        activation_bytes=sum(sizes),
        largest_activation_bytes=max(sizes, default=0),
    )


def unsupported(model: ir.Model) -> list[Refusal]:
    """What of the model could not be compiled, and why; empty if all of it can.

    Args:
        model: as ``load_model`` returns it; left as it is.

    Raises:
        ModelError: the model contradicts itself.
    """
    try:
        return find_refusals(rewrite(model.clone()))
    except UnsupportedModelError as error:
        return [Refusal("", "model", error.what)]


def _constants(graph: ir.Graph) -> list[ir.TensorProtocol]:
    """Tensors that are stored in ``Constant`` nodes."""
    return [
        node.attributes["value"].as_tensor()
        for node in graph
        if node.op_type == "Constant" and "value" in node.attributes
    ]


def _dtype(value: ir.Value) -> str:
    name = value.dtype.name.lower() if value.dtype is not None else ""
    return _SPELLED.get(name, name)


def _specs(values: Any) -> tuple[TensorSpec, ...]:
    specs = []
    for value in values:
        shape = static_shape(value)
        if shape is not None:
            specs.append(TensorSpec(value.name or "", shape, _dtype(value)))
    return tuple(specs)


def _value_bytes(value: ir.Value) -> int:
    shape = static_shape(value)
    return 0 if shape is None else math.prod(shape) * ITEM_BYTES.get(_dtype(value), 0)


def _analyse_node(node: ir.Node) -> NodeAnalysis:
    given = [value for value in node.inputs if value is not None]
    weights = {value for value in given if value.is_initializer()}
    return NodeAnalysis(
        name=node.name or "",
        op=f"{node.domain}.{node.op_type}" if node.domain else node.op_type,
        inputs=tuple(static_shape(value) for value in given if value not in weights),
        outputs=tuple(static_shape(value) for value in node.outputs),
        macs=_macs(node),
        parameters=sum(math.prod(static_shape(value) or (0,)) for value in weights),
        activation_bytes=sum(_value_bytes(value) for value in node.outputs),
    )


def _macs(node: ir.Node) -> int:
    """Multiply-accumulates of one node; the formulas are those of :func:`analyse`."""
    shapes = [static_shape(value) for value in node.inputs if value is not None]
    result = static_shape(node.outputs[0]) if node.outputs else None
    if node.domain != "" or result is None or any(shape is None for shape in shapes):
        return 0
    known = [shape for shape in shapes if shape is not None]
    if node.op_type == "Conv":
        return math.prod(result) * math.prod(known[1][1:])
    if node.op_type == "ConvTranspose":
        return math.prod(known[0]) * math.prod(known[1][1:])
    if node.op_type == "MatMul":
        return math.prod(result) * known[0][-1]
    if node.op_type == "Gemm":
        return math.prod(result) * known[0][0 if attribute_int(node, "transA", 0) else 1]
    if node.op_type == "Einsum":
        return _einsum_macs(attribute_string(node, "equation", ""), known)
    return 0


def _einsum_macs(equation: str, shapes: list[tuple[int, ...]]) -> int:
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if "..." in equation or len(terms) != len(shapes):
        return 0
    extents: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        extents.update(zip(term, shape, strict=True))
    return math.prod(extents.values())
