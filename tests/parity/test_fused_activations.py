"""Blocks of networks whose convolutions end in smooth activations, through the whole pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import edgewright
from tests.compiler.graphs import Array, model, node, rng, weights

CHANNELS = 20
IMAGE = {"image": (1, 12, 15, 13)}


def conv(source: str, result: str, **attributes: object) -> onnx.NodeProto:
    return node("Conv", f"{source} {result}_w {result}_b", result, **attributes)


def efficient_net_block() -> tuple[onnx.ModelProto, int]:
    """Expand, depthwise, squeeze-and-excite, project, with SiLU in two operators.

    Returns:
        The model, and the number of nodes that must be in the kernels of its convolutions.
    """
    pads = {"pads": [2, 2, 2, 2]}
    nodes = [
        conv("image", "expand"),
        node("Sigmoid", "expand", "expand_gate"),
        node("Mul", "expand expand_gate", "expanded"),
        conv("expanded", "deep", group=CHANNELS, **pads),
        node("Sigmoid", "deep", "deep_gate"),
        node("Mul", "deep deep_gate", "deepened"),
        node("GlobalAveragePool", "deepened", "squeezed"),
        conv("squeezed", "reduce"),
        node("Sigmoid", "reduce", "reduce_gate"),
        node("Mul", "reduce_gate reduce", "reduced"),
        conv("reduced", "excite"),
        node("Sigmoid", "excite", "excited"),
        node("Mul", "deepened excited", "scaled"),
        conv("scaled", "project"),
        node("Add", "project image", "y"),
    ]
    shapes = {
        "expand": (CHANNELS, 12, 1, 1),
        "deep": (CHANNELS, 1, 5, 5),
        "reduce": (5, CHANNELS, 1, 1),
        "excite": (CHANNELS, 5, 1, 1),
        "project": (12, CHANNELS, 1, 1),
    }
    constants: dict[str, Array] = {}
    for name, shape in shapes.items():
        constants[f"{name}_w"] = weights(*shape)
        constants[f"{name}_b"] = rng(1).standard_normal(shape[0]).astype(np.float32)
    return model(nodes, IMAGE, {"y": IMAGE["image"]}, constants), 5 + 3 * 2 + 1 + 1


def activations_in_many_spellings() -> tuple[onnx.ModelProto, int]:
    """A chain of convolutions, each with another activation as exporters spell it."""
    spelled = {
        "gelu": [
            node("Div", "gelu root_two", "gelu_1"),
            node("Erf", "gelu_1", "gelu_2"),
            node("Add", "gelu_2 one", "gelu_3"),
            node("Mul", "gelu gelu_3", "gelu_4"),
            node("Mul", "gelu_4 half", "gelu_y"),
        ],
        "mish": [node("Mish", "mish", "mish_y")],
        "tanh": [node("Tanh", "tanh", "tanh_y")],
        "swish": [
            node("Mul", "swish factor", "swish_1"),
            node("Sigmoid", "swish_1", "swish_2"),
            node("Mul", "swish swish_2", "swish_y"),
        ],
        "hswish": [
            node("Add", "hswish three", "hswish_1"),
            node("Clip", "hswish_1 zero six", "hswish_2"),
            node("Mul", "hswish hswish_2", "hswish_3"),
            node("Div", "hswish_3 six", "hswish_y"),
        ],
        "hgate": [
            node("HardSigmoid", "hgate", "hgate_1", alpha=1 / 6, beta=0.5),
            node("Mul", "hgate hgate_1", "hgate_y"),
        ],
    }
    numbers = {"root_two": np.sqrt(2), "one": 1, "half": 0.5, "factor": 1.702}
    numbers |= {"three": 3, "zero": 0, "six": 6}
    constants: dict[str, Array] = {name: np.float32(value) for name, value in numbers.items()}
    nodes, source = [], "image"
    for name, activation in spelled.items():
        nodes += [conv(source, name, pads=[1, 1, 1, 1]), *activation]
        constants[f"{name}_w"] = 2 * weights(12, 12, 3, 3, seed=len(nodes))
        constants[f"{name}_b"] = rng(2).standard_normal(12).astype(np.float32)
        source = f"{name}_y"
    nodes.append(node("Identity", source, "y"))
    constants = {name: np.asarray(value) for name, value in constants.items()}
    made = model(nodes, IMAGE, {"y": IMAGE["image"]}, constants)
    # The factors 1/2 and 1/6 at the end of two of them move into the weights of the next one.
    return made, sum(1 + len(activation) for activation in spelled.values()) - 2


MODELS = {
    "efficient_net_block": efficient_net_block,
    "many_spellings": activations_in_many_spellings,
}


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi2"])
@pytest.mark.parametrize("name", MODELS)
def test_parity_and_fusion(name: str, target: str, tmp_path: Path) -> None:
    made, nodes_in_convolutions = MODELS[name]()
    path = tmp_path / f"{name}.onnx"
    onnx.save(made, path)
    bundle = edgewright.compile(path, target)
    assert bundle.verify(path, on="host" if target == "host" else "qemu").passed
    layers = bundle.manifest.layers
    fused = {name for layer in layers if layer.op == "conv2d" for name in layer.nodes}
    assert len(fused) == nodes_in_convolutions, layers
