"""What a model costs and what of it cannot be compiled, without compiling it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from edgewright.compiler.arithmetic import (
    SeparableConvolution,
    dtype_name,
    groups_of,
    moved_bytes,
    multiply_accumulates,
    separable_convolutions,
    value_bytes,
)
from edgewright.compiler.onnx_passes.fold_constants import FoldConstants
from edgewright.compiler.onnx_passes.graph_edits import static_shape
from edgewright.compiler.onnx_passes.guard import Refusal, find_refusals
from edgewright.compiler.onnx_passes.infer_shapes import InferShapes
from edgewright.compiler.onnx_passes.lift_constants import LiftConstants
from edgewright.compiler.onnx_passes.name_nodes import NameNodes
from edgewright.compiler.onnx_passes.pipeline import rewrite
from edgewright.compiler.onnx_passes.repeat import Repeat
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.tensor import TensorSpec

__all__ = ["ModelAnalysis", "NodeAnalysis", "analyse", "unsupported"]


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
        moved_bytes: bytes of inputs, weights and outputs, each tensor once.
        intensity: arithmetic intensity, floating-point operations for each byte:
            ``2 macs / moved_bytes``.
        groups: groups of a convolution, 1 of any other node; a convolution of as many groups as
            input channels is depthwise.
        standard_macs: multiply-accumulates of the same convolution with one group.
        reduction: ``standard_macs / macs``, what the groups save; 1 where there are none.
    """

    name: str
    op: str
    inputs: tuple[tuple[int, ...] | None, ...]
    outputs: tuple[tuple[int, ...] | None, ...]
    macs: int
    parameters: int
    activation_bytes: int
    moved_bytes: int
    intensity: float
    groups: int
    standard_macs: int
    reduction: float


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
        parameter_bytes: bytes of all weights, as they are once constants are folded.
        activation_bytes: bytes of all values between nodes; a plan reuses memory and needs less.
        largest_activation_bytes: bytes of the largest of them.
        separable: depthwise convolutions with the 1x1 convolutions that follow them.
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
    separable: tuple[SeparableConvolution, ...]

    def to_json(self) -> dict[str, Any]:
        """The analysis in JSON's types."""
        return asdict(self)


def analyse(model: ir.Model) -> ModelAnalysis:
    """Count what one inference of the model does.

    Multiply-accumulates (MACs) are those of convolutions, matrix products, recurrent layers and
    attention, as :mod:`edgewright.compiler.arithmetic` counts them; everything else counts 0, and
    so does what is inside of ``If``, ``Loop`` and ``Scan``.

    Args:
        model: as ``load_model`` or ``prepare`` returns it; left as it is.

    Returns:
        The analysis of what is left to compute once constants are folded. Nodes whose shapes are
        not known count 0.

    Raises:
        ModelError: the shapes of the model contradict each other.
    """
    copy = model.clone()
    # Shapes may be computed from shapes: exporters write padding like that.
    known = Repeat([RemoveUnusedNodesPass(), InferShapes(), FoldConstants()])
    for item in (NameNodes(), LiftConstants(), known):
        item(copy)
    nodes = tuple(_analyse_node(node) for node in copy.graph)
    weights = [value.const_value for value in copy.graph.initializers.values()]
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
        separable=tuple(separable_convolutions(list(copy.graph))),
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


def _specs(values: Any) -> tuple[TensorSpec, ...]:
    specs = []
    for value in values:
        shape = static_shape(value)
        if shape is not None:
            specs.append(TensorSpec(value.name or "", shape, dtype_name(value)))
    return tuple(specs)


def _analyse_node(node: ir.Node) -> NodeAnalysis:
    given = [value for value in node.inputs if value is not None]
    weights = {value for value in given if value.is_initializer()}
    macs, moved, groups = multiply_accumulates(node), moved_bytes(node), groups_of(node)
    return NodeAnalysis(
        name=node.name or "",
        op=f"{node.domain}.{node.op_type}" if node.domain else node.op_type,
        inputs=tuple(static_shape(value) for value in given if value not in weights),
        outputs=tuple(static_shape(value) for value in node.outputs),
        macs=macs,
        parameters=sum(math.prod(static_shape(value) or (0,)) for value in weights),
        activation_bytes=sum(value_bytes(value) for value in node.outputs),
        moved_bytes=moved,
        intensity=2 * macs / moved if moved else 0.0,
        groups=groups,
        standard_macs=macs * groups,
        reduction=float(groups),
    )
