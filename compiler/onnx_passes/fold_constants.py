"""Computes at compile time what depends on nothing but constants and static shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    constant_array,
    is_onnx,
    static_shape,
)
from edgewright.compiler.onnx_passes.lift_constants import replace_by_constants

__all__ = ["FoldConstants", "evaluate_node"]

#: A result larger than this and than all that it was computed from is not folded, weights excepted.
_SIZE_LIMIT_BYTES = 1 << 20

# Operators whose result is not a function of their inputs, or that hold a graph.
_NEVER = frozenset(
    (
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Dropout",
        "If",
        "Loop",
        "Scan",
        "SequenceMap",
        "Constant",
        "Identity",
        "BatchNormalization",
    )
)

# Operators that make much out of little.
_EXPANDING = frozenset(
    ("ConstantOfShape", "Expand", "EyeLike", "OneHot", "Pad", "Range", "Resize", "Tile", "Upsample")
)

# First input of each operator that is a weight, stored in the bundle in any case.
_WEIGHTS_FROM = {
    "BatchNormalization": 1,
    "Conv": 1,
    "ConvTranspose": 1,
    "Gemm": 1,
    "GroupNormalization": 1,
    "InstanceNormalization": 1,
    "LayerNormalization": 1,
    "MatMul": 1,
    "PRelu": 1,
}
_VIEWS = frozenset(("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))


class FoldConstants(ir.passes.InPlacePass):
    """Replaces computations by their results.

    Case 1: ``Shape`` and ``Size`` of a value of static shape.
    Case 2: a node whose inputs are all constant, evaluated by ONNX's reference implementation.
    Case 3: as case 2, but the result is above 1 MiB and larger than its inputs: folded only where
        all its uses are weights (of convolutions, of matrix products, of normalizations).

    Random operators, control flow and results that are not tensors are left untouched.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold in graph order, so that one run follows a whole chain."""
        graph = model.graph
        opset = graph.opset_imports.get("", 0)
        modified = False
        for node in list(graph):
            results = _fold(node, opset)
            if results is not None:
                replace_by_constants(graph, node, [ir.Tensor(result) for result in results])
                modified = True
        return ir.passes.PassResult(model, modified)


def _fold(node: ir.Node, opset: int) -> Sequence[npt.NDArray[np.generic]] | None:
    if is_onnx(node, "Shape", "Size"):
        shape = static_shape(node.inputs[0])
        if shape is None:
            return None
        if node.op_type == "Size":
            return [np.array(math.prod(shape), np.int64)]
        start = attribute_int(node, "start", 0)
        end = attribute_int(node, "end", len(shape))
        return [np.array(shape[start:end], np.int64)]
    if not _is_foldable(node):
        return None
    arrays = [constant_array(value) for value in node.inputs]
    if any(
        array is None and value is not None
        for array, value in zip(arrays, node.inputs, strict=True)
    ):
        return None
    given = sum(array.nbytes for array in arrays if array is not None)
    if _result_bytes(node, arrays) > max(given, _SIZE_LIMIT_BYTES) and not _is_weight(
        node.outputs[0]
    ):
        return None
    return evaluate_node(node, arrays, opset)


def _is_foldable(node: ir.Node) -> bool:
    """Whether its results follow from its inputs alone, and the reference computes them."""
    return (
        node.domain == ""
        and node.op_type not in _NEVER
        and len(node.outputs) > 0
        and not any(
            attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
            for attribute in node.attributes.values()
        )
    )


def _result_bytes(node: ir.Node, arrays: Sequence[npt.NDArray[np.generic] | None]) -> float:
    shape = static_shape(node.outputs[0])
    if shape is None and node.op_type == "ConstantOfShape" and arrays[0] is not None:
        shape = tuple(int(extent) for extent in np.ravel(arrays[0]))
    if shape is None:
        return math.inf if node.op_type in _EXPANDING else 0
    dtype = node.outputs[0].dtype
    return math.prod(shape) * (dtype.itemsize if dtype is not None else 8)


def _is_weight(value: ir.Value) -> bool:
    """Whether everything that reads the value, views of it included, reads it as a weight."""
    uses = list(value.uses())
    if not uses or value.is_graph_output():
        return False
    for use in uses:
        if use.node.domain != "":
            return False
        if use.node.op_type in _VIEWS and use.idx == 0:
            if not _is_weight(use.node.outputs[0]):
                return False
        elif use.idx < _WEIGHTS_FROM.get(use.node.op_type, len(use.node.inputs)):
            return False
    return True


def evaluate_node(
    node: ir.Node, arrays: Sequence[npt.NDArray[np.generic] | None], opset: int
) -> list[npt.NDArray[np.generic]] | None:
    """What ONNX's reference implementation makes of a node and the values of its inputs.

    Args:
        node: any.
        arrays: one for each input; None for an absent one.
        opset: of the model.

    Returns:
        Its outputs, or None where they are random, the node holds a graph, or the reference cannot
        tell or contradicts what is known of their types and shapes.
    """
    if not _is_foldable(node):
        return None
    if is_onnx(node, "ConstantOfShape") and arrays[0] is not None:
        attribute = node.attributes.get("value")
        fill = attribute.as_tensor().numpy().reshape(()) if attribute else np.float32(0)
        return [np.full([int(extent) for extent in np.ravel(arrays[0])], fill)]
    names = [f"i{index}" if array is not None else "" for index, array in enumerate(arrays)]
    outputs = [f"o{index}" for index in range(len(node.outputs))]
    proto = ir.to_proto(node)
    proto.input[:], proto.output[:] = names, outputs
    given = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    graph = onnx.helper.make_graph(
        [proto],
        "one_node",
        [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in given],
        [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, given)
    except Exception:  # whatever the reference cannot do stays in the graph
        return None
    if not all(isinstance(result, np.ndarray | np.generic) for result in results):
        return None
    folded = [np.asarray(result) for result in results]
    dtype = node.outputs[0].dtype
    if dtype is not None and ir.DataType.from_numpy(folded[0].dtype) != dtype:
        return None
    shape = static_shape(node.outputs[0])
    if shape is not None and folded[0].shape != shape:
        return None
    return folded
