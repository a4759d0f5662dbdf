from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from edgewright.compiler.onnx_passes.drop_no_op import DropNoOp
from tests.compiler.onnx_passes.small_models import (
    Array,
    apply,
    build,
    i64,
    node,
    operators,
)

NO_OPS: list[tuple[str, list[str], dict[str, Array], dict[str, Any]]] = [
    ("Cast", ["r"], {}, {"to": onnx.TensorProto.FLOAT}),
    ("CastLike", ["r", "x"], {}, {}),
    ("Transpose", ["r"], {}, {"perm": [0, 1, 2, 3]}),
    ("Transpose", ["r"], {}, {"perm": [0, 2, 1, 3]}),
    ("Reshape", ["r", "k"], {"k": i64(2, 1, -1, 4)}, {}),
    ("Expand", ["r", "k"], {"k": i64(1, 1, 1)}, {}),
    ("Tile", ["r", "k"], {"k": i64(1, 1, 1, 1)}, {}),
    ("Pad", ["r", "k"], {"k": i64(*[0] * 8)}, {}),
    ("Slice", ["r", "a", "b"], {"a": i64(0), "b": i64(99)}, {}),
    (
        "Slice",
        ["r", "a", "b", "c", "d"],
        {"a": i64(0), "b": i64(3), "c": i64(2), "d": i64(1)},
        {},
    ),
    ("Resize", ["r", "", "k"], {"k": np.ones(4, np.float32)}, {}),
    ("Resize", ["r", "", "", "k"], {"k": i64(2, 1, 3, 4)}, {"mode": "linear"}),
]


class TestDropNoOp:
    @pytest.mark.parametrize(("op_type", "inputs", "weights", "attributes"), NO_OPS)
    def test_no_op_is_removed(
        self, op_type: str, inputs: list[str], weights: dict[str, Array], attributes: dict[str, Any]
    ) -> None:
        nodes = [node("Relu", ["x"], ["r"]), node(op_type, inputs, ["n"], **attributes)]
        nodes.append(node("Neg", ["n"], ["y"]))
        shape = [2, 1, 3, 4]
        model = apply(DropNoOp(), build(nodes, {"x": shape}, ["y"], weights))
        expected = {"Relu": 1, "Neg": 1}
        if op_type == "Transpose" and attributes["perm"] == [0, 2, 1, 3]:
            expected["Transpose"] = 1  # it moves an axis of one element: the shape differs
        assert operators(model) == expected

    @pytest.mark.parametrize(
        ("op_type", "inputs", "weights", "attributes"),
        [
            ("Cast", ["r"], {}, {"to": onnx.TensorProto.DOUBLE}),
            ("Transpose", ["r"], {}, {"perm": [1, 0]}),
            ("Reshape", ["r", "k"], {"k": i64(9)}, {}),
            ("Pad", ["r", "k"], {"k": i64(1, 0, -1, 0)}, {}),
            (
                "Slice",
                ["r", "a", "b", "c", "d"],
                {"a": i64(-1), "b": i64(-9), "c": i64(0), "d": i64(-1)},
                {},
            ),
            ("Tile", ["r", "k"], {"k": i64(2, 1)}, {}),
        ],
    )
    def test_what_changes_something_stays(
        self, op_type: str, inputs: list[str], weights: dict[str, Array], attributes: dict[str, Any]
    ) -> None:
        nodes = [node("Relu", ["x"], ["r"]), node(op_type, inputs, ["y"], **attributes)]
        model = apply(DropNoOp(), build(nodes, {"x": [3, 3]}, ["y"], weights))
        assert operators(model) == {"Relu": 1, op_type: 1}

    def test_transpose_of_axes_of_one_element(self) -> None:
        nodes = [
            node("Relu", ["x"], ["r"]),
            node("Transpose", ["r"], ["t"], perm=[2, 1, 0]),
            node("Neg", ["t"], ["y"]),
        ]
        model = apply(DropNoOp(), build(nodes, {"x": [1, 5, 1]}, ["y"]))
        assert operators(model) == {"Relu": 1, "Neg": 1}
