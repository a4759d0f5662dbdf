"""Arithmetic on paper: multiply-accumulates, bytes that must move, and what fewer weights save.

The formulas, with their sources, are in ``docs/arithmetic.md``. They need shapes only: nothing is
compiled or run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    attribute_string,
    is_onnx,
    static_shape,
)
from edgewright.spec.tensor import ITEM_BYTES

__all__ = [
    "SeparableConvolution",
    "dtype_name",
    "groups_of",
    "moved_bytes",
    "multiply_accumulates",
    "separable_convolutions",
    "value_bytes",
]

Shape = tuple[int, ...]
#: Of a node, the shapes of its inputs (None where one is absent) and of its first known output.
Formula = Callable[[ir.Node, Sequence[Shape | None], Shape], int]

_SPELLED = {"float": "float32", "double": "float64"}
#: What may stand between the two halves of a separable convolution: it keeps every position.
_BETWEEN = frozenset(
    {
        *("BatchNormalization", "Clip", "Elu", "Gelu", "HardSwish", "Identity", "LeakyRelu"),
        *("Mish", "Mul", "PRelu", "Relu", "Selu", "Sigmoid", "Swish", "Tanh"),
    }
)


@dataclass(frozen=True)
class SeparableConvolution:
    """A depthwise convolution and the 1x1 convolution that mixes its channels.

    Together they stand for one standard convolution with the depthwise one's window and the
    pointwise one's output channels (Howard et al., 2017, arXiv:1704.04861, section 3.1).

    Attributes:
        depthwise: name of the first node.
        pointwise: name of the second node.
        macs: multiply-accumulates of both.
        standard_macs: those of the standard convolution.
        weights: elements of both weight tensors, biases left out.
        standard_weights: those of the standard convolution.
        reduction: ``standard_macs / macs``.
    """

    depthwise: str
    pointwise: str
    macs: int
    standard_macs: int
    weights: int
    standard_weights: int
    reduction: float


def multiply_accumulates(node: ir.Node) -> int:
    """Multiply-accumulates of one node; 0 where shapes are not known, or nothing is multiplied.

    Convolutions, matrix products, recurrent layers and attention count, everything else is 0. Taps
    that fall into the padding count too.
    """
    shapes = [static_shape(value) for value in node.inputs]
    # The first output may be absent: of a recurrent layer, only the last state may be wanted.
    result = next((s for s in map(static_shape, node.outputs) if s is not None), None)
    formula = _FORMULAS.get(node.op_type) if node.domain == "" else None
    unknown = any(
        value is not None and shape is None
        for value, shape in zip(node.inputs, shapes, strict=True)
    )
    if formula is None or result is None or unknown:
        return 0
    return formula(node, shapes, result)


def groups_of(node: ir.Node) -> int:
    """Groups of a convolution; 1 of any other node.

    The standard convolution of the same extents has that many times the multiply-accumulates and
    weights: each of its outputs sees all input channels.
    """
    if is_onnx(node, "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv"):
        return attribute_int(node, "group", 1)
    return 1


def moved_bytes(node: ir.Node) -> int:
    """Bytes of what the node reads and writes, each tensor once: the least that can move.

    Tensors of unknown shape count 0.
    """
    read = {value for value in node.inputs if value is not None}
    return sum(map(value_bytes, read)) + sum(map(value_bytes, node.outputs))


def separable_convolutions(nodes: Sequence[ir.Node]) -> list[SeparableConvolution]:
    """Every depthwise convolution whose result goes, position by position, into a 1x1 convolution.

    Normalizations and activations may stand between the two; a pointwise convolution may have
    groups of its own.

    Args:
        nodes: nodes in graph order, with names and shapes.
    """
    found = []
    for pointwise in nodes:
        depthwise = _depthwise_before(pointwise)
        if depthwise is not None and groups_of(depthwise) > 1:
            found.append(_pair(depthwise, pointwise))
    return found


def _pair(depthwise: ir.Node, pointwise: ir.Node) -> SeparableConvolution:
    window, mixing = (static_shape(node.inputs[1]) or () for node in (depthwise, pointwise))
    result = static_shape(pointwise.outputs[0]) or ()
    macs = multiply_accumulates(depthwise) + multiply_accumulates(pointwise)
    taps_and_channels = math.prod(window[2:]) * groups_of(depthwise)
    standard = math.prod(result) * taps_and_channels
    return SeparableConvolution(
        depthwise=depthwise.name or "",
        pointwise=pointwise.name or "",
        macs=macs,
        standard_macs=standard,
        weights=math.prod(window) + math.prod(mixing),
        standard_weights=result[1] * taps_and_channels,
        reduction=standard / macs,
    )


def _depthwise_before(pointwise: ir.Node) -> ir.Node | None:
    """The depthwise convolution that feeds a 1x1 convolution of stride 1, or None."""
    weights = static_shape(pointwise.inputs[1]) if is_onnx(pointwise, "Conv") else None
    if weights is None or math.prod(weights[2:]) != 1:
        return None
    value = pointwise.inputs[0]
    shape, result = static_shape(value), static_shape(pointwise.outputs[0])
    if shape is None or result is None or shape[2:] != result[2:] or math.prod(result) == 0:
        return None
    for node in _producers(value, shape):
        given = static_shape(node.inputs[0]) if is_onnx(node, "Conv") else None
        if given is not None:
            return node if given[1] == groups_of(node) else None
    return None


def _producers(value: ir.Value | None, shape: Shape) -> Iterator[ir.Node]:
    """Nodes that the value comes from, upwards, as long as each keeps the shape."""
    while value is not None and (node := value.producer()) is not None:
        yield node
        if not is_onnx(node, *_BETWEEN):
            return
        same = (given for given in node.inputs if static_shape(given) == shape)
        value = next(same, None)


def dtype_name(value: ir.Value) -> str:
    """The value's element type as NumPy spells it; empty if it is not known."""
    name = value.dtype.name.lower() if value.dtype is not None else ""
    return _SPELLED.get(name, name)


def value_bytes(value: ir.Value) -> int:
    """Bytes of a tensor; 0 where its shape or element type is not known."""
    shape = static_shape(value)
    return 0 if shape is None else math.prod(shape) * ITEM_BYTES.get(dtype_name(value), 0)


def _of_weights(position: int) -> Formula:
    """Each output sums over all of a filter; the weights are the input of that position."""

    def convolution(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
        return math.prod(result) * math.prod((shapes[position] or ())[1:])

    return convolution


def _transposed(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
    """Each input is scattered by all of a filter."""
    return math.prod(shapes[0] or ()) * math.prod((shapes[1] or ())[1:])


def _product(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
    return math.prod(result) * (shapes[0] or (0,))[-1]


def _gemm(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
    rows, columns = shapes[0] or (0, 0)
    return math.prod(result) * (rows if attribute_int(node, "transA", 0) else columns)


def _einsum(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
    """The product of all letters' extents: one contraction of all operands at once."""
    equation = attribute_string(node, "equation", "").replace(" ", "")
    terms = equation.split("->")[0].split(",")
    if "..." in equation or len(terms) != len(shapes):
        return 0
    extents: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        extents.update(zip(term, shape or (), strict=True))
    return math.prod(extents.values())


def _recurrent(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
    """Each step of each sequence multiplies all of W (by the input) and of R (by the state)."""
    steps_and_batch = math.prod((shapes[0] or (0,))[:2])
    return steps_and_batch * (math.prod(shapes[1] or (0,)) + math.prod(shapes[2] or (0,)))


def _attention(node: ir.Node, shapes: Sequence[Shape | None], result: Shape) -> int:
    """``Q Kᵀ`` and ``P V``: each element of the query and of the result meets every key."""
    past = shapes[4] if len(shapes) > 4 else None
    keys = (shapes[1] or (0, 0))[-2] + (past[-2] if past else 0)
    return (math.prod(shapes[0] or (0,)) + math.prod(result)) * keys


_FORMULAS: dict[str, Formula] = {
    "Attention": _attention,
    "Conv": _of_weights(1),
    "ConvInteger": _of_weights(1),
    "ConvTranspose": _transposed,
    "DeformConv": _of_weights(1),
    "Einsum": _einsum,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearConv": _of_weights(3),
    "QLinearMatMul": _product,
    "RNN": _recurrent,
}
