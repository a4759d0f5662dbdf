from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compiler.onnx_passes import prepare
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.small_models import branch, build, check, node

POSITIVE = [
    node("ReduceMax", ["x"], ["most"], keepdims=0),
    node("Greater", ["most", "bound"], ["positive"]),
]
BOUND = {"bound": np.float32(0.5)}


def choose(then: onnx.GraphProto, other: onnx.GraphProto, condition: str = "positive") -> object:
    return node("If", [condition], ["y"], then_branch=then, else_branch=other)


class TestSelectBranch:
    @pytest.mark.parametrize("seed", range(4))
    def test_both_branches_are_computed(self, seed: int) -> None:
        nodes = [*POSITIVE, choose(branch("Mul", "p"), branch("Add", "q"))]
        counts = check(build(nodes, {"x": [1]}, ["y"], BOUND), seed=seed)
        assert counts["Where"] == 1 and counts["Mul"] == 1 and "If" not in counts

    @pytest.mark.parametrize("seed", range(4))
    def test_condition_of_one_element(self, seed: int) -> None:
        nodes = [
            node("Greater", ["x", "bound"], ["positive"]),
            choose(
                helper.make_graph(
                    [node("ReduceSum", ["x"], ["t"], keepdims=0)],
                    "g",
                    [],
                    [helper.make_tensor_value_info("t", TensorProto.FLOAT, [])],
                ),
                helper.make_graph(
                    [node("ReduceMin", ["x"], ["e"], keepdims=0)],
                    "g",
                    [],
                    [helper.make_tensor_value_info("e", TensorProto.FLOAT, [])],
                ),
            ),
        ]
        check(build(nodes, {"x": [1]}, ["y"], BOUND), seed=seed)

    def test_branches_of_constants(self) -> None:
        def constant(name: str, number: float) -> onnx.GraphProto:
            info = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
            array = np.full(2, number, np.float32)
            return helper.make_graph([], "g", [], [info], [numpy_helper.from_array(array, name)])

        nodes = [*POSITIVE, choose(constant("one", 1.0), constant("two", 2.0))]
        for seed in range(4):
            assert "Where" in check(build(nodes, {"x": [1]}, ["y"], BOUND), seed=seed)

    def test_nested(self) -> None:
        inner = helper.make_graph(
            [
                node(
                    "If",
                    ["large"],
                    ["i"],
                    then_branch=branch("Sub", "r"),
                    else_branch=branch("Div", "s"),
                )
            ],
            "inner",
            [],
            [helper.make_tensor_value_info("i", TensorProto.FLOAT, None)],
        )
        nodes = [
            *POSITIVE,
            node("Greater", ["most", "two"], ["large"]),
            choose(inner, branch("Add", "q")),
        ]
        model = build(nodes, {"x": [2]}, ["y"], {**BOUND, "two": np.float32(1.5)})
        for seed in range(6):
            assert check(model, seed=seed)["Where"] == 2


class TestRefusals:
    def test_shapes_differ(self) -> None:
        wide = helper.make_graph(
            [node("Concat", ["x", "x"], ["w"], axis=0)],
            "wide",
            [],
            [helper.make_tensor_value_info("w", TensorProto.FLOAT, None)],
        )
        model = build([*POSITIVE, choose(wide, branch("Add", "q"))], {"x": [1]}, ["y"], BOUND)
        with pytest.raises(UnsupportedModelError, match=r"give the shapes \(2,\) and \(1,\)"):
            prepare(ir.from_proto(model))

    def test_sequence(self) -> None:
        def wrap(op_type: str, name: str) -> onnx.GraphProto:
            info = helper.make_tensor_sequence_value_info(f"{name}s", TensorProto.FLOAT, None)
            nodes = [node(op_type, ["x"], [name]), node("SequenceConstruct", [name], [f"{name}s"])]
            return helper.make_graph(nodes, "g", [], [info])

        nodes = [
            *POSITIVE,
            node(
                "If",
                ["positive"],
                ["list"],
                then_branch=wrap("Neg", "p"),
                else_branch=wrap("Abs", "q"),
            ),
            node("ConcatFromSequence", ["list"], ["y"], axis=0),
        ]
        model = build(nodes, {"x": [1]}, ["y"], BOUND)
        with pytest.raises(UnsupportedModelError, match="is a sequence"):
            prepare(ir.from_proto(model))
