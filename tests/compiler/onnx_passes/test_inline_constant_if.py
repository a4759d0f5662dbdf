from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from edgewright.compiler.onnx_passes.inline_constant_if import InlineConstantIf
from tests.compiler.onnx_passes.small_models import (
    apply,
    branch,
    build,
    check,
    node,
    operators,
)


class TestInlineConstantIf:
    @pytest.mark.parametrize("taken", [True, False])
    def test_branch_is_taken(self, taken: bool) -> None:
        nodes = [
            node(
                "If",
                ["c"],
                ["i"],
                then_branch=branch("Mul", "p"),
                else_branch=branch("Add", "q"),
            ),
            node("Add", ["i", "k"], ["y"]),
        ]
        weights = {"c": np.array(taken), "k": np.array([5.0], np.float32)}
        model = build(nodes, {"x": [3]}, ["y"], weights)
        inlined = apply(InlineConstantIf(), model)
        assert "If" not in operators(inlined)
        assert "If" not in check(model)

    def test_condition_from_shapes(self) -> None:
        nodes = [
            node("Shape", ["x"], ["s"]),
            node("Size", ["s"], ["n"]),
            node("Equal", ["n", "one"], ["c"]),
            node(
                "If", ["c"], ["y"], then_branch=branch("Mul", "p"), else_branch=branch("Add", "q")
            ),
        ]
        model = build(nodes, {"x": [3]}, ["y"], {"one": np.array(1, np.int64)})
        assert "If" not in check(model)

    def test_branch_that_hands_on_an_outer_value(self) -> None:
        info = [helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, None)]
        copy = helper.make_graph([node("Identity", ["x"], ["p"])], "g", [], info)
        nodes = [
            node("If", ["c"], ["i"], then_branch=copy, else_branch=branch("Add", "q")),
            node("Relu", ["i"], ["y"]),
        ]
        model = build(nodes, {"x": [3]}, ["y"], {"c": np.array(True)})
        assert check(model) == {"Relu": 1}
