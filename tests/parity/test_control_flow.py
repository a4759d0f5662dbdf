"""Recurrent operators, loops and branches through the whole pipeline, proven by one bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgewright
from tests.compiler.graphs import Array, node, rng

STEPS, BATCH, INPUTS, HIDDEN = 7, 2, 12, 20
#: Of the largest value of the output.
TOLERANCE = 1e-4

#: What ONNX infers no shapes for.
LOOP_SHAPES = {"loop_y": (STEPS, BATCH, INPUTS), "loop_all": (4, STEPS, BATCH, INPUTS)}

Graph = tuple[list[onnx.NodeProto], dict[str, Array]]


def numbers(*shape: int, seed: int = 0) -> Array:
    return (rng(seed).standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)


def recurrent(op: str, gates: int, name: str, direction: str, **attributes: object) -> Graph:
    count = 2 if direction == "bidirectional" else 1
    constants = {
        f"{name}_w": numbers(count, gates * HIDDEN, INPUTS, seed=1),
        f"{name}_r": numbers(count, gates * HIDDEN, HIDDEN, seed=2),
        f"{name}_b": numbers(count, 2 * gates * HIDDEN, seed=3),
    }
    inputs = " ".join(["x", *constants, "lengths"])
    outputs = f"{name}_y {name}_h" + (f" {name}_c" if op == "LSTM" else "")
    made = node(op, inputs, outputs, hidden_size=HIDDEN, direction=direction, **attributes)
    return [made], constants


def loop() -> Graph:
    body = helper.make_graph(
        [
            node("Identity", "going", "goes_on"),
            node("MatMul", "state loop_w", "product"),
            node("Tanh", "product", "next"),
            node("Identity", "next", "seen"),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("seen", TensorProto.FLOAT, None),
        ],
    )
    constants = {"count": np.array(4), "loop_w": numbers(INPUTS, INPUTS, seed=4)}
    return [node("Loop", "count _ x", "loop_y loop_all", body=body)], constants


def branches() -> Graph:
    def branch(op: str, name: str) -> onnx.GraphProto:
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([node(op, "x", name)], name, [], [info])

    chosen = node(
        "If", "large", "if_y", then_branch=branch("Sigmoid", "t"), else_branch=branch("Neg", "e")
    )
    nodes = [
        node("ReduceSum", "x", "sum", keepdims=0),
        node("Greater", "sum bound", "large"),
        chosen,
    ]
    return nodes, {"bound": np.array(0, np.float32)}


GRAPHS = (
    recurrent("LSTM", 4, "lstm", "bidirectional"),
    recurrent("GRU", 3, "gru", "reverse", linear_before_reset=1),
    recurrent("RNN", 1, "rnn", "forward", clip=0.5),
    loop(),
    branches(),
)


def save(graph: onnx.GraphProto, file: Path) -> None:
    """Write a model, the shapes of its outputs inferred."""
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(onnx.shape_inference.infer_shapes(model), file)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nodes = [each for graph_nodes, _ in GRAPHS for each in graph_nodes]
    outputs = [name for each in nodes for name in each.output if "_" in name]
    constants = {name: array for _, arrays in GRAPHS for name, array in arrays.items()}
    graph = helper.make_graph(
        nodes,
        "control_flow",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, BATCH, INPUTS]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, [BATCH]),
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, LOOP_SHAPES[name])
            if name in LOOP_SHAPES
            else onnx.ValueInfoProto(name=name)
            for name in outputs
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    file = tmp_path_factory.mktemp("control_flow") / "control_flow.onnx"
    save(graph, file)
    return file


@pytest.mark.parametrize("target", ["host", "rpi4"])
def test_parity(target: str, path: Path) -> None:
    bundle = edgewright.compile(path, target)
    golden = bundle.golden()
    assert 0 < golden.inputs["lengths"].max() <= STEPS
    actual = bundle.run(golden.inputs, on="host" if target == "host" else "qemu")
    assert len(actual) == 10
    for name, expected in golden.outputs.items():
        error = np.abs(actual[name] - expected).max()
        assert error <= TOLERANCE * np.abs(expected).max(), name


def test_steps_share_one_weight(tmp_path: Path) -> None:
    """A hundred steps of an LSTM, whose recurrent weight is packed for each step's product."""
    steps, hidden = 100, 32
    weights = {
        "w": numbers(1, 4 * hidden, INPUTS),
        "r": numbers(1, 4 * hidden, hidden, seed=1),
        "b": numbers(1, 8 * hidden, seed=2),
    }
    graph = helper.make_graph(
        [node("LSTM", "x w r b", "y last", hidden_size=hidden)],
        "long",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, 1, INPUTS])],
        [onnx.ValueInfoProto(name="last")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    file = tmp_path / "long.onnx"
    save(graph, file)
    bundle = edgewright.compile(file, "host")
    given = sum(array.nbytes for array in weights.values())
    assert (bundle.path / "weights.bin").stat().st_size < 1.25 * given
