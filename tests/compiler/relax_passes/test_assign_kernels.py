"""Which operators become kernels of ours, and where layouts change between them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx

from edgewright.compiler.import_model import import_model
from edgewright.compiler.relax_passes.assign_kernels import Assigned, assign_kernels
from edgewright.schedules.kernel import Limits
from edgewright.spec.target import CORES
from tests.compiler.graphs import model, node, weights

A72 = CORES["cortex-a72"]


def assign(made: onnx.ModelProto) -> Assigned:
    return assign_kernels(import_model(made), A72, Limits())


def ops(assigned: Assigned) -> Counter[str]:
    return Counter(use.op for use in assigned.uses.values())


def same_conv(source: str, result: str, weight: str = "w") -> onnx.NodeProto:
    return node("Conv", f"{source} {weight}", result, pads=[1, 1, 1, 1])


def test_activations_stay_blocked_from_end_to_end() -> None:
    nodes = [
        same_conv("x", "a"),
        node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[2, 2]),
        same_conv("c", "d"),
        node("Concat", "d c", "e", axis=1),
        node("Sigmoid", "e", "f"),
        node("GlobalAveragePool", "f", "y"),
    ]
    made = model(nodes, {"x": (1, 8, 8, 8)}, {"y": (1, 16, 1, 1)}, {"w": weights(8, 8, 3, 3)})
    found = ops(assign(made))
    # The input is blocked once; the output has one pixel, so its blocked form is its plain form.
    assert found == {"layout": 1, "conv2d": 2, "pool2d": 2, "gather": 1}


def test_a_tensor_is_converted_once_however_often_it_is_used() -> None:
    nodes = [same_conv("x", "a"), same_conv("x", "b"), node("Add", "a b", "y")]
    made = model(nodes, {"x": (1, 8, 4, 4)}, {"y": (1, 8, 4, 4)}, {"w": weights(8, 8, 3, 3)})
    found = ops(assign(made))
    assert found == {"layout": 2, "conv2d": 2}


def test_a_stem_reads_the_plain_input() -> None:
    made = model(
        [same_conv("x", "a"), node("GlobalAveragePool", "a", "y")],
        {"x": (1, 3, 8, 8)},
        {"y": (1, 8, 1, 1)},
        {"w": weights(8, 3, 3, 3)},
    )
    assert "layout" not in ops(assign(made))


def test_padding_lanes_keep_operators_that_could_overflow_on_the_plain_layout() -> None:
    """6 channels leave 2 padding lanes in blocks of 4: exp of what is there could be infinite."""
    nodes = [same_conv("x", "a"), node("Exp", "a", "b"), same_conv("b", "y")]
    made = model(nodes, {"x": (1, 6, 4, 4)}, {"y": (1, 6, 4, 4)}, {"w": weights(6, 6, 3, 3)})
    assert ops(assign(made))["layout"] == 4
    aligned = model(nodes, {"x": (1, 8, 4, 4)}, {"y": (1, 8, 4, 4)}, {"w": weights(8, 8, 3, 3)})
    assert ops(assign(aligned))["layout"] == 2


def test_concat_of_ragged_channels_stays_blocked() -> None:
    nodes = [same_conv("x", "a"), node("Concat", "a x", "y", axis=1)]
    made = model(nodes, {"x": (1, 6, 4, 4)}, {"y": (1, 12, 4, 4)}, {"w": weights(6, 6, 3, 3)})
    assert ops(assign(made)) == {"layout": 2, "conv2d": 1, "gather": 1}


def test_concat_of_plain_tensors_stays_plain() -> None:
    nodes = [node("Concat", "x x", "a", axis=1), node("Exp", "a", "y")]
    made = model(nodes, {"x": (1, 8, 4, 4)}, {"y": (1, 16, 4, 4)})
    assert ops(assign(made)) == {}


def test_shuffle_and_split_move_channels_once_and_only_where_somebody_computes() -> None:
    nodes = [
        same_conv("x", "a"),
        node("Concat", "a a", "b", axis=1),
        node("Reshape", "b to5", "c"),
        node("Transpose", "c", "d", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "d to4", "e"),
        node("Split", "e", "left right", axis=1, num_outputs=2),
        same_conv("right", "f"),
        node("GlobalAveragePool", "f", "y"),
    ]
    shapes = {"to5": np.array([1, 2, 6, 4, 4]), "to4": np.array([1, 12, 4, 4])}
    constants = {"w": weights(6, 6, 3, 3), **shapes}
    made = model(nodes, {"x": (1, 6, 4, 4)}, {"y": (1, 6, 1, 1)}, constants)
    assigned = assign(made)
    # Two changes of layout: the input, and the output, whose channels end inside a block.
    assert ops(assigned) == {"layout": 2, "conv2d": 2, "gather": 1, "pool2d": 1}
    (gather,) = [use for use in assigned.uses.values() if use.op == "gather"]
    assert gather.nodes == ("node_left",)


def test_each_kernel_knows_its_nodes_and_tensors() -> None:
    nodes = [same_conv("x", "a"), node("Relu", "a", "y")]
    made = model(nodes, {"x": (1, 8, 4, 4)}, {"y": (1, 8, 4, 4)}, {"w": weights(8, 8, 3, 3)})
    (use,) = (use for use in assign(made).uses.values() if use.op == "conv2d")
    assert use.nodes == ("node_a", "node_y")
    assert use.outputs == ("y",)
    assert use.macs == 8 * 8 * 9 * 16
    assert use.reason


def test_a_matrix_product_by_a_constant_is_dense() -> None:
    constants = {"w": weights(10, 16).T.copy(), "b": np.ones(10, np.float32)}
    nodes = [node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Relu", "c", "y")]
    assigned = assign(model(nodes, {"x": (3, 16)}, {"y": (3, 10)}, constants))
    (use,) = assigned.uses.values()
    assert use.op == "dense" and use.nodes == ("node_a", "node_c", "node_y")
