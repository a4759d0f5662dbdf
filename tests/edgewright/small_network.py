"""A network that compiles in a second or two and has what matters: convolutions and a head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["save_network"]


def save_network(
    path: Path, *, batch: int | str = 1, head: str = "Relu", **attributes: int
) -> Path:
    """Write it: float32[batch, 3, 16, 16] ``image`` to float32[batch, 10] ``scores``.

    ``head`` is the operator after the first convolution, with its attributes.
    """
    generator = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(
            (generator.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32), name
        )

    constants = [
        weight("w1", 8, 3, 3, 3),
        numpy_helper.from_array(np.linspace(-1, 1, 8, dtype=np.float32), "b1"),
        weight("w2", 12, 8, 1, 1),
        weight("w3", 10, 12),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node(head, ["c1"], ["r1"], name="relu1", **attributes),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="conv2"),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w3"], ["scores"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
