"""The ``light`` models of the onnx package, with weights that mean something.

They are real network architectures whose weights were replaced by ``ConstantOfShape`` fills to keep
the package small; with constant weights every channel is the same, so wrong ones would agree.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

__all__ = ["LIGHT_MODELS", "light_model_path", "load_light_model"]

#: Names of the models, smallest weights first.
LIGHT_MODELS = (
    "squeezenet",
    "shufflenet",
    "inception_v1",
    "densenet121",
    "inception_v2",
    "resnet50",
    "zfnet512",
    "bvlc_alexnet",
    "vgg19",
)

Array = npt.NDArray[np.float32]


def light_model_path(name: str) -> Path:
    """The ``.onnx`` file of one of :data:`LIGHT_MODELS`, inside the installed onnx package."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    return folder / f"light_{name}.onnx"


def load_light_model(name: str, seed: int) -> onnx.ModelProto:
    """The model with seeded random weights in place of its constant fills.

    Args:
        name: one of :data:`LIGHT_MODELS`.
        seed: of the generator; the same seed gives the same weights.

    Returns:
        The model, otherwise unchanged: convolution and matrix weights are normal with deviation
        sqrt(2 / fan_in) (He et al., 2015), less after a pooling, so activations stay of order 1;
        biases and shifts are small; scales lie around 1 and variances are positive.
    """
    model = onnx.load(light_model_path(name))
    generator = np.random.default_rng(seed)
    graph = model.graph
    shapes = {
        tensor.name: tuple(int(extent) for extent in numpy_helper.to_array(tensor))
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT64
    }
    fills = {
        node.output[0]: shapes[node.input[0]]
        for node in graph.node
        if node.op_type == "ConstantOfShape" and node.input[0] in shapes
    }
    used_shapes = {node.input[0] for node in graph.node if node.op_type == "ConstantOfShape"}
    weights = [
        numpy_helper.from_array(_weight(graph, fill, shape, generator), fill)
        for fill, shape in fills.items()
    ]
    kept = [node for node in graph.node if node.output[0] not in fills]
    still_read = {item for node in kept for item in node.input}
    removed = used_shapes - still_read
    initializers = [item for item in graph.initializer if item.name not in removed]
    inputs = [item for item in graph.input if item.name not in removed]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(kept)
    graph.initializer.extend([*initializers, *weights])
    graph.input.extend(inputs)
    graph.input.extend(
        onnx.helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in weights
    )
    return model


def _weight(
    graph: onnx.GraphProto, name: str, shape: tuple[int, ...], generator: np.random.Generator
) -> Array:
    """Numbers for one fill, by what reads it, directly or through an ``Unsqueeze``."""
    for node in graph.node:
        if name not in node.input:
            continue
        index = list(node.input).index(name)
        if node.op_type == "Unsqueeze":
            return _weight(graph, node.output[0], shape, generator)
        if node.op_type in ("Conv", "Gemm") and index == 1:
            transposed = node.op_type == "Conv" or any(
                item.name == "transB" and item.i for item in node.attribute
            )
            fan_in = math.prod(shape[1:]) if transposed else shape[0]
            deviation = math.sqrt(_gain(graph, node) / fan_in)
            numbers = generator.standard_normal(shape, np.float32)
            return numbers * np.float32(deviation)
        if node.op_type == "BatchNormalization" and index == 1 and _feeds(graph, node, "Sum"):
            # Residual branches add up; small ones keep the sum of order 1.
            return generator.uniform(0.2, 0.4, shape).astype(np.float32)
        if node.op_type == "Mul" or (node.op_type == "BatchNormalization" and index == 1):
            return generator.uniform(0.7, 1.3, shape).astype(np.float32)
        if node.op_type == "BatchNormalization" and index == 4:
            return generator.uniform(0.5, 1.5, shape).astype(np.float32)
        break
    return generator.uniform(-0.2, 0.2, shape).astype(np.float32)


def _gain(graph: onnx.GraphProto, node: onnx.NodeProto) -> float:
    """Twice the variance over the second moment of what the node reads: 2 after a ReLU (He)."""
    if _feeds(graph, node, "Softmax"):
        # Logits of order 1: a saturated softmax would hide any difference.
        return 0.1
    producers = {item: other.op_type for other in graph.node for item in other.output}
    # The maximum of nine such values has about five times their second moment.
    return {"Relu": 2.0, "Concat": 2.0, "MaxPool": 0.5}.get(producers.get(node.input[0], ""), 1.0)


def _feeds(graph: onnx.GraphProto, node: onnx.NodeProto, op_type: str) -> bool:
    return any(
        reader.op_type == op_type and node.output[0] in reader.input for reader in graph.node
    )
