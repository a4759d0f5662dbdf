from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.name_nodes import NameNodes
from edgewright.compiler.onnx_passes.repeat import Repeat
from tests.compiler.onnx_passes.small_models import (
    assert_idempotent,
    branch,
    build,
    floats,
    node,
    operators,
    run,
)


def test_nodes_get_unique_names() -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Relu", ["a"], ["b"], name="n"),
        node("Neg", ["b"], ["y"], name="n"),
    ]
    model = ir.from_proto(build(nodes, {"x": [1]}, ["y"]))
    assert NameNodes()(model).modified
    assert not NameNodes()(model).modified
    assert [item.name for item in model.graph] == ["Relu:a", "n", "n_2"]


def test_passes_that_never_settle_are_an_error() -> None:
    class Restless(ir.passes.InPlacePass):
        def call(self, model: ir.Model) -> ir.passes.PassResult:
            return ir.passes.PassResult(model, True)

    model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"]))
    with pytest.raises(RuntimeError, match="undo each other's work: Restless"):
        Repeat([Restless()])(model)


def test_graph_of_constants_only() -> None:
    nodes = [node("Add", ["a", "b"], ["y"])]
    model = build(nodes, {}, ["y"], {"a": floats(3), "b": floats(3)})
    prepared = prepare(ir.from_proto(model))
    assert operators(prepared) == {"Identity": 1}
    assert_idempotent(prepared)
    assert np.array_equal(run(ir.to_proto(prepared), {})[0], 2 * floats(3))


def test_prepare_leaves_its_argument_and_the_message_it_was_read_from() -> None:
    weights = {"w": floats(3, 2, 1, 1), "k": floats(3, 1, 1), "c": np.array(True)}
    nodes = [
        node("If", ["c"], ["i"], then_branch=branch("Mul", "p"), else_branch=branch("Add", "q")),
        node("Conv", ["i", "w"], ["v"]),
        node("Mul", ["v", "k"], ["m"]),
        node("Constant", [], ["o"], value=onnx.numpy_helper.from_array(floats(1), "t")),
        node("Add", ["m", "o"], ["y"]),
    ]
    proto = build(nodes, {"x": [1, 2, 4, 4]}, ["y"], weights)
    model = ir.from_proto(proto)
    before = proto.SerializeToString(), ir.to_proto(model).SerializeToString()
    prepare(model)
    assert (proto.SerializeToString(), ir.to_proto(model).SerializeToString()) == before
