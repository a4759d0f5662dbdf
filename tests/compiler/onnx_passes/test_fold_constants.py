from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from edgewright.compiler.onnx_passes.fold_constants import FoldConstants
from tests.compiler.onnx_passes.small_models import (
    apply,
    build,
    check,
    floats,
    i64,
    node,
    operators,
)


class TestFoldConstants:
    def test_case_1_shape_and_size(self) -> None:
        nodes = [
            node("Shape", ["x"], ["s"], start=1, end=-1),
            node("Size", ["x"], ["n"]),
            node("Mul", ["s", "n"], ["y"]),
        ]
        model = apply(FoldConstants(), build(nodes, {"x": [2, 3, 4, 5]}, ["y"]))
        assert operators(model) == {"Identity": 1}

    def test_case_1_flatten_by_shape_arithmetic(self) -> None:
        nodes = [
            node("Shape", ["x"], ["s"]),
            node("Gather", ["s", "zero"], ["n"]),
            node("Unsqueeze", ["n", "axes"], ["n1"]),
            node("Concat", ["n1", "rest"], ["t"], axis=0),
            node("Reshape", ["x", "t"], ["r"]),
            node("Relu", ["r"], ["y"]),
        ]
        weights = {"zero": np.array(0, np.int64), "axes": i64(0), "rest": i64(-1)}
        model = build(nodes, {"x": [2, 3, 4]}, ["y"], weights)
        assert check(model) == {"Reshape": 1, "Relu": 1}

    def test_case_2_several_outputs(self) -> None:
        nodes = [
            node("Split", ["k"], ["a", "b"], axis=0, num_outputs=2),
            node("Add", ["x", "a"], ["c"]),
            node("Mul", ["c", "b"], ["y"]),
        ]
        model = apply(FoldConstants(), build(nodes, {"x": [1, 3]}, ["y"], {"k": floats(2, 3)}))
        assert operators(model) == {"Add": 1, "Mul": 1}

    def test_case_3_large_fill_stays_unless_it_is_a_weight(self) -> None:
        fill = onnx.numpy_helper.from_array(np.array([0.25], np.float32))
        fills = [node("ConstantOfShape", ["s"], ["k"], value=fill)]
        weights = {"s": i64(600, 600)}
        added = build([*fills, node("Add", ["x", "k"], ["y"])], {"x": [600]}, ["y"], weights)
        assert operators(apply(FoldConstants(), added)) == {"ConstantOfShape": 1, "Add": 1}
        product = build(
            [*fills, node("MatMul", ["x", "k"], ["y"])], {"x": [1, 600]}, ["y"], weights
        )
        assert operators(apply(FoldConstants(), product)) == {"MatMul": 1}

    def test_case_3_weight_through_a_view(self) -> None:
        nodes = [
            node("ConstantOfShape", ["s"], ["k"]),
            node("Reshape", ["k", "t"], ["w"]),
            node("MatMul", ["x", "w"], ["y"]),
        ]
        weights = {"s": i64(360000), "t": i64(600, 600)}
        model = apply(FoldConstants(), build(nodes, {"x": [1, 600]}, ["y"], weights))
        assert operators(model) == {"MatMul": 1}

    def test_random_numbers_stay(self) -> None:
        nodes = [node("RandomNormal", [], ["k"], shape=[2]), node("Add", ["x", "k"], ["y"])]
        model = ir.from_proto(build(nodes, {"x": [2]}, ["y"]))
        assert not FoldConstants()(model).modified

    def test_what_the_reference_cannot_do_stays(self) -> None:
        nodes = [node("Reshape", ["k", "s"], ["r"]), node("Add", ["x", "r"], ["y"])]
        model = ir.from_proto(
            helper.make_model(
                helper.make_graph(
                    nodes,
                    "g",
                    [helper.make_tensor_value_info("x", 1, [2])],
                    [helper.make_tensor_value_info("y", 1, None)],
                    [
                        onnx.numpy_helper.from_array(floats(3), "k"),
                        onnx.numpy_helper.from_array(i64(2), "s"),
                    ],
                ),
                opset_imports=[helper.make_opsetid("", 18)],
            )
        )
        assert not FoldConstants()(model).modified
