"""ONNX to Relax: TVM's importer, with converters of our own where its answer is slow or clumsy."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from tvm import relax, te, tirx
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter

from edgewright.compiler.import_top_k import import_top_k
from edgewright.compiler.read_relax import constant_array, is_constant
from edgewright.schedules.workload import Activation
from edgewright.spec.errors import UnsupportedModelError

__all__ = ["ImportedModel", "import_model"]


@dataclass(frozen=True)
class ImportedModel:
    """A model as Relax.

    Attributes:
        module: an IRModule whose function ``main`` is one dataflow block of operators.
        nodes: for each Relax variable, by identity, the name of the ONNX node that it is the
            result of.
        tensors: the output tensors of each ONNX node.
        activations: variables that hold an activation which Relax has no operator for, with what
            they were computed from.
    """

    module: Any
    nodes: dict[Any, str]
    tensors: dict[str, tuple[str, ...]]
    activations: dict[Any, tuple[Activation, Any]]


def import_model(model: onnx.ModelProto) -> ImportedModel:
    """Import a prepared model: static shapes, opset upgraded, nothing the guard refuses.

    Args:
        model: nodes have unique names; see ``edgewright.compiler.onnx_passes.prepare``.

    Raises:
        UnsupportedModelError: the importer failed on an operator that the guard let through.
    """
    importer = _Importer(shape_dict={}, dtype_dict="float32")
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    try:
        # The importer prints the failing operator before it raises; the error says it better.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            module = importer.from_onnx(model.graph, opset)
    except _ConversionError as error:
        raise UnsupportedModelError(
            f"the operator {error.op_type} of node '{error.node}' cannot be imported: "
            f"{str(error.__cause__).strip().splitlines()[-1]}",
            rule="TVM's importer refused its attributes or shapes.",
            remedy="Rewrite that node with simpler operators, or report the model.",
        ) from error.__cause__
    tensors = {node.name: tuple(node.output) for node in model.graph.node}
    return ImportedModel(module, importer.nodes_of_vars, tensors, importer.activations)


class _ConversionError(Exception):
    def __init__(self, op_type: str, node: str) -> None:
        super().__init__(op_type)
        self.op_type = op_type
        self.node = node


class _Importer(ONNXGraphImporter):  # type: ignore[misc]
    """TVM's importer, asked only where :data:`_CONVERTERS` has nothing to say."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nodes_of_vars: dict[Any, str] = {}
        self.activations: dict[Any, tuple[Activation, Any]] = {}

    def _check_for_unsupported_ops(self, graph: Any) -> None:
        """The guard has checked before; what it let through fails in its turn, by node."""

    def _convert_operator(self, op_name: str, inputs: Any, attrs: Any, opset: int) -> Any:
        node = attrs["tvm_custom"]["name"]
        constants = [_array(value) if value is not None else None for value in inputs]
        converter = _CONVERTERS.get(op_name)
        try:
            converted = converter(self, inputs, constants, attrs) if converter else None
            if converted is None:
                converted = super()._convert_operator(op_name, inputs, attrs, opset)
        except Exception as error:
            raise _ConversionError(op_name, node) from error
        if is_constant(converted) or isinstance(converted, relax.Tuple | relax.ShapeExpr):
            return converted
        converted = self.bb.normalize(converted)
        if not isinstance(converted.ty, relax.TensorType | relax.TupleType):
            return converted
        result = self.emit(converted, node)
        activation = _activation(op_name, attrs)
        if activation is not None:
            self.activations[result] = (activation, inputs[0])
        return result

    def emit(self, value: Any, node: str) -> Any:
        """Bind a value, and remember which ONNX node it belongs to."""
        result = self.bb.emit(value)
        self.nodes_of_vars[result] = node
        return result


def _array(value: Any) -> Any:
    return constant_array(value) if is_constant(value) else None


def _activation(op_name: str, attrs: dict[str, Any]) -> Activation | None:
    if op_name == "HardSwish":
        return Activation("hard_swish")
    if op_name == "Mish":
        return Activation("mish")
    if op_name == "HardSigmoid":
        return Activation(
            "hard_sigmoid", alpha=attrs.get("alpha", 0.2), beta=attrs.get("beta", 0.5)
        )
    return None


def _optional(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _conv(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """The bias is reshaped here, once, instead of by an operator that must be folded later."""
    bias, node = _optional(constants, 2), attrs["tvm_custom"]["name"]
    if bias is None:
        return None
    convolution = importer.emit(
        ONNXGraphImporter._convert_operator(
            importer, "Conv", type(inputs)([inputs[0], inputs[1]]), attrs, importer.opset
        ),
        node,
    )
    rank = len(convolution.ty.shape)
    shaped = bias.reshape([1, -1] + [1] * (rank - 2))
    return relax.op.add(convolution, relax.const(shaped, str(bias.dtype)))


def _conv_transpose(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """One along a line becomes one over an image of a single row; the bias is reshaped here."""
    data, weight, bias = inputs[0], constants[1], _optional(constants, 2)
    rank = len(data.ty.shape) - 2
    has_bias = _optional(inputs, 2) is not None
    if weight is None or (has_bias and bias is None) or rank > 2:
        return None
    node, missing = attrs["tvm_custom"]["name"], 2 - rank

    def window(name: str, default: int) -> list[int]:
        return [default] * missing + [int(v) for v in attrs.get(name, [default] * rank)]

    pads = [int(pad) for pad in attrs.get("pads", [0] * (2 * rank))]
    if missing:
        batch, channels, width = (int(extent) for extent in data.ty.shape)
        data = importer.emit(relax.op.reshape(data, (batch, channels, 1, width)), node)
        weight, pads = weight[:, :, None], [0, pads[0], 0, pads[1]]
    result = relax.op.nn.conv2d_transpose(
        data,
        relax.const(np.ascontiguousarray(weight), str(weight.dtype)),
        strides=window("strides", 1),
        padding=pads,
        output_padding=window("output_padding", 0),
        dilation=window("dilations", 1),
        groups=int(attrs.get("group", 1)),
    )
    if bias is not None:
        shaped = relax.const(bias.reshape(1, -1, 1, 1), str(bias.dtype))
        result = relax.op.add(importer.emit(result, node), shaped)
    if missing:
        image = importer.emit(result, node)
        batch, channels, _, width = (int(extent) for extent in image.ty.shape)
        return relax.op.reshape(image, (batch, channels, width))
    return result


def _gemm(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """Constant operands are transposed and scaled here, in numpy."""
    weight, bias = constants[1], _optional(constants, 2)
    has_bias = len(inputs) > 2 and inputs[2] is not None
    if weight is None or attrs.get("transA", 0) or (has_bias and bias is None):
        return None
    operand = weight.T if attrs.get("transB", 0) else weight
    alpha = attrs.get("alpha", 1.0)
    if alpha != 1.0:
        operand = (operand.astype(np.float64) * alpha).astype(weight.dtype)
    constant = relax.const(np.ascontiguousarray(operand), str(weight.dtype))
    product = importer.emit(relax.op.matmul(inputs[0], constant), attrs["tvm_custom"]["name"])
    if bias is None:
        return product
    shift = (bias * np.asarray(attrs.get("beta", 1.0), bias.dtype)).astype(bias.dtype)
    return relax.op.add(product, relax.const(shift, str(bias.dtype)))


def _clip(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """TVM's converter makes five operators of a clip with constant bounds; Relax has one."""
    if str(inputs[0].ty.dtype) != "float32":
        return None
    bounds = []
    for index, unbounded in ((1, -np.inf), (2, np.inf)):
        given = len(inputs) > index and inputs[index] is not None
        if given and constants[index] is None:
            return None
        bounds.append(float(constants[index].reshape(())) if given else unbounded)
    if np.isnan(bounds).any() or np.isinf(bounds).all():
        return None
    if bounds == [0.0, np.inf]:
        return relax.op.nn.relu(inputs[0])
    largest = float(np.finfo(np.float32).max)
    finite = [float(np.clip(bound, -largest, largest)) for bound in bounds]
    return relax.op.clip(inputs[0], finite[0], finite[1])


def _gather(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """TVM's converter reads memory wherever an index points; this one stays inside the tensor.

    Constant indices are checked here. Computed ones are clipped: onnxruntime would fail on one that
    is out of range, a board must at least not read foreign memory.
    """
    data, indices = inputs
    if not isinstance(getattr(data, "ty", None), relax.TensorType) or not isinstance(
        getattr(indices, "ty", None), relax.TensorType
    ):
        return None
    axis = attrs.get("axis", 0)
    extent = int(data.ty.shape[axis])
    if constants[1] is not None:
        array = constants[1]
        if array.size and not (-extent <= array.min() and array.max() < extent):
            raise ValueError(f"an index is out of range: the axis {axis} has {extent} elements")
        wrapped = relax.const(np.where(array < 0, array + extent, array), str(array.dtype))
        # TVM prints a warning for each take of its fast mode; for one index the other is as fast.
        return relax.op.take(data, wrapped, axis, mode="clip" if array.size == 1 else "fast")
    dtype = str(indices.ty.dtype)
    wrapped = relax.op.where(
        relax.op.less(indices, relax.const(0, dtype)),
        relax.op.add(indices, relax.const(extent, dtype)),
        indices,
    )
    return relax.op.take(data, importer.bb.emit(wrapped), axis, mode="clip")


def _top_k(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """Sorted in the program itself; TVM would call its runtime. ``sorted=0`` allows any order."""
    if constants[1] is None:
        return None
    return import_top_k(
        importer,
        inputs[0],
        int(constants[1].reshape(())),
        int(attrs.get("axis", -1)),
        largest=bool(attrs.get("largest", 1)),
        node=attrs["tvm_custom"]["name"],
    )


def _cum_prod(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """TVM's importer knows sums only, Relax products too."""
    data, node = inputs[0], attrs["tvm_custom"]["name"]
    if constants[1] is None:
        return None
    axis = int(constants[1].reshape(())) % len(data.ty.shape)
    if attrs.get("reverse", 0):
        data = importer.emit(relax.op.flip(data, axis), node)
    exclusive = bool(attrs.get("exclusive", 0))
    products = relax.op.cumprod(data, axis, str(data.ty.dtype), exclusive)
    if attrs.get("reverse", 0):
        return relax.op.flip(importer.emit(products, node), axis)
    return products


def _bit_cast(importer: _Importer, inputs: Any, constants: list[Any], attrs: Any) -> Any:
    """The same bits as another type of their size."""
    (data,) = inputs
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(attrs["to"]))
    source = np.dtype(str(data.ty.dtype))
    if dtype.itemsize != source.itemsize or "b" in (dtype.kind, source.kind):
        raise ValueError(f"{data.ty.dtype} and {dtype} have no bits in common")

    def reinterpreted(x: Any) -> Any:
        return te.compute(x.shape, lambda *at: tirx.reinterpret(str(dtype), x(*at)), name="bits")

    return importer.bb.call_te(reinterpreted, data, primfunc_name_hint="bit_cast")


_Converter = Callable[[_Importer, Any, list[Any], Any], Any]

#: Our converters. Each answers None for what it does not take; TVM's importer is asked then.
_CONVERTERS: dict[str, _Converter] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "BitCast": _bit_cast,
    "Clip": _clip,
    "CumProd": _cum_prod,
    "TopK": _top_k,
    "Gather": _gather,
}
