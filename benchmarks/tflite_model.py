"""Writes the ONNX files of the reference networks as LiteRT files, for a fair look at XNNPACK.

The converters on PyPI bring TensorFlow, or gigabytes of CUDA through torch; these networks need a
dozen operators. What a converter would do is done: batch norms are folded already (the model comes
prepared by Edgewright's own passes), activations are fused, everything is NHWC, and a channel
shuffle moves the two innermost axes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

__all__ = ["Unconvertible", "convert"]

#: Where the axes of an ONNX tensor go: NCHW to NHWC; N, groups, C, H, W to N, H, W, groups, C.
_AXES = {4: (0, 2, 3, 1), 5: (0, 3, 4, 1, 2)}
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}
_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID
#: The format wants a tensor's bytes aligned so.
_ALIGNMENT_BYTES = 16


class Unconvertible(ValueError):
    """The model holds an operator, or a form of one, that this file does not write."""


def convert(model: onnx.ModelProto) -> bytearray:
    """The model as a LiteRT flatbuffer; its input and output are stored NHWC.

    Args:
        model: prepared: static shapes, no batch norm.

    Raises:
        Unconvertible: see there.
    """
    return _Writer(onnx.shape_inference.infer_shapes(model)).write()


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose bytes are aligned, which the generated class does not see to."""

    def Pack(self, builder: Any) -> Any:
        content: bytes = self.data
        builder.StartVector(1, len(content), _ALIGNMENT_BYTES)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


class _Writer:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.weights = {t.name: onnx.numpy_helper.to_array(t) for t in self.graph.initializer}
        values = (*self.graph.input, *self.graph.output, *self.graph.value_info)
        self.shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
        self.readers = Counter(name for node in self.graph.node for name in node.input)
        self.readers.update(value.name for value in self.graph.output)
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.followers = {node.input[0]: node for node in self.graph.node if node.input}
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]
        self.operators: list[Any] = []
        self.codes: dict[int, int] = {}
        self.index: dict[str, int] = {}
        self.fused: set[str] = set()
        self.flattened: dict[str, list[int]] = {}

    def write(self) -> bytearray:
        inputs = [self.value(value.name) for value in self.graph.input]
        for node in self.graph.node:
            if node.output[0] not in self.fused:
                rule = _RULES.get(node.op_type)
                if rule is None:
                    raise Unconvertible(f"{node.op_type} has no rule here")
                attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                rule(self, node, attributes)
        outputs = [self.value(value.name) for value in self.graph.output]
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), builtinCode=code)
            for code in self.codes
        ]
        subgraph = schema.SubGraphT(self.tensors, inputs, outputs, self.operators)
        model = schema.ModelT(3, codes, [subgraph], "edgewright benchmark", self.buffers)
        size = sum(len(buffer.data or b"") for buffer in self.buffers)
        builder = flatbuffers.Builder(size + 2**20)
        builder.Finish(model.Pack(builder), b"TFL3")
        output: bytearray = builder.Output()
        return output

    def value(self, name: str) -> int:
        """The tensor of an ONNX value, made when first asked for."""
        if name not in self.index:
            shape = self.shapes[name]
            self.add_tensor(name, [shape[axis] for axis in _order(len(shape))], 0)
        return self.index[name]

    def constant(self, name: str, array: np.ndarray) -> int:
        array = np.ascontiguousarray(array)
        self.buffers.append(_Buffer(array.tobytes()))
        return self.add_tensor(name, array.shape, len(self.buffers) - 1, _TYPES[array.dtype])

    def add_tensor(
        self, name: str, shape: Sequence[int], buffer: int, dtype: int = schema.TensorType.FLOAT32
    ) -> int:
        self.tensors.append(schema.TensorT([*shape], dtype, buffer, name))
        self.index[name] = len(self.tensors) - 1
        return self.index[name]

    def emit(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], kind: str, **options: Any
    ) -> None:
        """Append an operator; ``kind`` names its options, or is NONE."""
        number = getattr(schema.BuiltinOperator, code)
        self.operators.append(
            schema.OperatorT(
                self.codes.setdefault(number, len(self.codes)),
                [*inputs],
                [*outputs],
                getattr(schema.BuiltinOptions, kind),
                None if kind == "NONE" else getattr(schema, kind + "T")(**options),
            )
        )

    def activated(self, output: str) -> tuple[str, int]:
        """What an activation that can be fused makes of ``output``, and which it is."""
        follower = self.followers.get(output)
        if follower is not None and self.readers[output] == 1:
            activation = self.activation(follower)
            if activation:
                self.fused.add(follower.output[0])
                return follower.output[0], activation
        return output, schema.ActivationFunctionType.NONE

    def activation(self, node: onnx.NodeProto) -> int:
        if node.op_type == "Relu":
            return int(schema.ActivationFunctionType.RELU)
        if node.op_type == "Clip":
            limits = [float(self.weights[name]) for name in node.input[1:]]
            if limits == [0.0, 6.0]:
                return int(schema.ActivationFunctionType.RELU6)
        return 0

    def padded(self, node: onnx.NodeProto, window: _Window) -> tuple[int, int]:
        """Input and padding of a window operator, after a PAD where neither kind fits."""
        name = node.input[0]
        extents, results = self.shapes[name][2:], self.shapes[node.output[0]][2:]
        pads = [
            window.pads(axis, extent, result)
            for axis, (extent, result) in enumerate(zip(extents, results, strict=True))
        ]
        if all(begin == 0 and end <= 0 for begin, end in pads):
            return self.value(name), _VALID
        halves = all(begin == (begin + end) // 2 and begin <= end for begin, end in pads)
        strided = [-(-e // s) for e, s in zip(extents, window.strides, strict=True)]
        if halves and strided == results:
            return self.value(name), _SAME
        if node.op_type == "MaxPool" and not self.activation(self.makers[name]):
            raise Unconvertible("a maximum over padding of values that may be negative")
        padded = f"{node.output[0]}/pad"
        widths = np.array([(0, 0), *((b, max(e, 0)) for b, e in pads), (0, 0)], np.int32)
        shape = self.shapes[name]
        inner = [e + b + max(t, 0) for e, (b, t) in zip(extents, pads, strict=True)]
        inputs = [self.value(name), self.constant(f"{padded}/widths", widths)]
        self.add_tensor(padded, [shape[0], *inner, shape[1]], 0)
        self.emit("PAD", inputs, [self.index[padded]], "PadOptions")
        return self.index[padded], _VALID


class _Window:
    """Kernel, strides, dilations and leading pads of a convolution or pooling."""

    def __init__(self, attributes: Mapping[str, Any], kernel: Sequence[int]) -> None:
        self.kernel = kernel
        self.strides = attributes.get("strides", [1, 1])
        self.dilations = attributes.get("dilations", [1, 1])
        self.begins = attributes.get("pads", [0, 0, 0, 0])[:2]

    def pads(self, axis: int, extent: int, result: int) -> tuple[int, int]:
        """Elements before and after; fewer than none after where the window leaves some unread."""
        reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1
        begin = self.begins[axis]
        return begin, (result - 1) * self.strides[axis] + reach - extent - begin


def _order(rank: int) -> tuple[int, ...]:
    return _AXES.get(rank, tuple(range(rank)))


def _conv(writer: _Writer, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
    weight = writer.weights[node.input[1]]
    window = _Window(attributes, weight.shape[2:])
    groups = attributes.get("group", 1)
    source, padding = writer.padded(node, window)
    output, activation = writer.activated(node.output[0])
    options: dict[str, Any] = {
        "padding": padding,
        "strideH": window.strides[0],
        "strideW": window.strides[1],
        "dilationHFactor": window.dilations[0],
        "dilationWFactor": window.dilations[1],
        "fusedActivationFunction": activation,
    }
    if groups == 1:
        code, kind, axes = "CONV_2D", "Conv2DOptions", (0, 2, 3, 1)
    elif weight.shape[1] == 1:
        code, kind, axes = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (1, 2, 3, 0)
        options["depthMultiplier"] = weight.shape[0] // groups
    else:
        raise Unconvertible(f"a convolution in {groups} groups")
    kernel = writer.constant(f"{node.output[0]}/weight", weight.transpose(axes))
    bias = _bias(writer, node, weight.shape[0])
    writer.emit(code, [source, kernel, bias], [writer.value(output)], kind, **options)


def _bias(writer: _Writer, node: onnx.NodeProto, channels: int) -> int:
    given = len(node.input) > 2
    values = writer.weights[node.input[2]] if given else np.zeros(channels, np.float32)
    return writer.constant(f"{node.output[0]}/bias", values)


def _gemm(writer: _Writer, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
    if {k: v for k, v in attributes.items() if k not in ("alpha", "beta")} != {"transB": 1}:
        raise Unconvertible("a Gemm other than x W^T + b")
    weight = writer.weights[node.input[1]]
    shape = writer.flattened.get(node.input[0])
    if shape is not None:  # the columns follow NCHW, the flattened input follows NHWC
        weight = weight.reshape(-1, *shape[1:]).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    output, activation = writer.activated(node.output[0])
    kernel = writer.constant(f"{node.output[0]}/weight", weight)
    inputs = [writer.value(node.input[0]), kernel, _bias(writer, node, len(weight))]
    options = {"fusedActivationFunction": activation}
    writer.emit(
        "FULLY_CONNECTED", inputs, [writer.value(output)], "FullyConnectedOptions", **options
    )


def _pool(writer: _Writer, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
    window = _Window(attributes, attributes["kernel_shape"])
    source, padding = writer.padded(node, window)
    options = {
        "padding": padding,
        "strideH": window.strides[0],
        "strideW": window.strides[1],
        "filterHeight": window.kernel[0],
        "filterWidth": window.kernel[1],
    }
    writer.emit("MAX_POOL_2D", [source], [writer.value(node.output[0])], "Pool2DOptions", **options)


def _global_average(writer: _Writer, node: onnx.NodeProto, _: Mapping[str, Any]) -> None:
    axes = writer.constant(f"{node.output[0]}/axes", np.array([1, 2], np.int32))
    inputs = [writer.value(node.input[0]), axes]
    writer.emit("MEAN", inputs, [writer.value(node.output[0])], "ReducerOptions", keepDims=True)


def _add(writer: _Writer, node: onnx.NodeProto, _: Mapping[str, Any]) -> None:
    output, activation = writer.activated(node.output[0])
    inputs = [writer.value(name) for name in node.input]
    options = {"fusedActivationFunction": activation}
    writer.emit("ADD", inputs, [writer.value(output)], "AddOptions", **options)


def _activation(writer: _Writer, node: onnx.NodeProto, _: Mapping[str, Any]) -> None:
    kinds = schema.ActivationFunctionType
    code = {kinds.RELU: "RELU", kinds.RELU6: "RELU6"}.get(writer.activation(node))
    if code is None:
        raise Unconvertible("a Clip other than to 0 and 6")
    inputs, outputs = [writer.value(node.input[0])], [writer.value(node.output[0])]
    writer.emit(code, inputs, outputs, "NONE")


def _concat(writer: _Writer, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
    axis = _order(len(writer.shapes[node.output[0]])).index(attributes["axis"])
    inputs = [writer.value(name) for name in node.input]
    writer.emit(
        "CONCATENATION", inputs, [writer.value(node.output[0])], "ConcatenationOptions", axis=axis
    )


def _split(writer: _Writer, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
    shapes = [writer.shapes[name] for name in node.output]
    if any(shape != shapes[0] for shape in shapes):
        raise Unconvertible("a split into unequal parts")
    axis = _order(len(shapes[0])).index(attributes["axis"])
    inputs = [writer.constant(f"{node.output[0]}/axis", np.array(axis, np.int32))]
    inputs.append(writer.value(node.input[0]))
    outputs = [writer.value(name) for name in node.output]
    writer.emit("SPLIT", inputs, outputs, "SplitOptions", numSplits=len(outputs))


def _reshape(writer: _Writer, node: onnx.NodeProto, _: Mapping[str, Any]) -> None:
    before, after = writer.shapes[node.input[0]], writer.shapes[node.output[0]]
    if len(after) == 2 and before[0] == after[0]:
        if before[2:] != [1, 1]:
            writer.flattened[node.output[0]] = before
    elif (before[0], before[-2:]) != (after[0], after[-2:]) or min(len(before), len(after)) < 4:
        raise Unconvertible(f"a reshape from {before} to {after}")
    output = writer.value(node.output[0])
    shape = np.array(writer.tensors[output].shape, np.int32)
    inputs = [writer.value(node.input[0]), writer.constant(f"{node.output[0]}/shape", shape)]
    writer.emit("RESHAPE", inputs, [output], "ReshapeOptions", newShape=shape.tolist())


def _transpose(writer: _Writer, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
    order = _order(len(attributes["perm"]))
    moved = np.array([order.index(attributes["perm"][axis]) for axis in order], np.int32)
    inputs = [writer.value(node.input[0]), writer.constant(f"{node.output[0]}/perm", moved)]
    writer.emit("TRANSPOSE", inputs, [writer.value(node.output[0])], "TransposeOptions")


_RULES: dict[str, Callable[[_Writer, onnx.NodeProto, Mapping[str, Any]], None]] = {
    "Add": _add,
    "Clip": _activation,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _reshape,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "MaxPool": _pool,
    "Relu": _activation,
    "Reshape": _reshape,
    "Split": _split,
    "Transpose": _transpose,
}
