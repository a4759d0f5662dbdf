"""Each of the small passes, case by case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper
from tests.compiler.onnx_passes.small_models import (
    Array,
    assert_agree,
    assert_idempotent,
    build,
    check,
    node,
    operators,
    run,
)

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.drop_identity import DropIdentity
from edgewright.compiler.onnx_passes.drop_no_op import DropNoOp
from edgewright.compiler.onnx_passes.fold_constants import FoldConstants
from edgewright.compiler.onnx_passes.graph_edits import static_shape
from edgewright.compiler.onnx_passes.infer_shapes import InferShapes
from edgewright.compiler.onnx_passes.inline_constant_if import InlineConstantIf
from edgewright.compiler.onnx_passes.lift_constants import LiftConstants
from edgewright.compiler.onnx_passes.merge_reshapes import MergeReshapes
from edgewright.compiler.onnx_passes.merge_transposes import MergeTransposes
from edgewright.compiler.onnx_passes.name_nodes import NameNodes
from edgewright.compiler.onnx_passes.repeat import Repeat
from edgewright.compiler.onnx_passes.upgrade_opset import TARGET_OPSET, UpgradeOpset
from edgewright.compiler.onnx_passes.weight_free import weight_free_proto
from edgewright.spec.errors import ModelError, UnsupportedModelError


def i64(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def floats(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def apply(pass_: ir.passes.InPlacePass, model: onnx.ModelProto) -> ir.Model:
    """Run one pass twice: the second time must change nothing."""
    changed = ir.from_proto(model)
    pass_(changed)
    assert not pass_(changed).modified
    assert_agree(model, ir.to_proto(changed))
    return changed


class TestLiftConstants:
    @pytest.mark.parametrize(
        ("attributes", "dtype", "want"),
        [
            ({"value_int": 3}, np.int64, 3),
            ({"value_ints": [3, 4]}, np.int64, [3, 4]),
            ({"value_float": 0.5}, np.float32, 0.5),
            ({"value_floats": [0.5, 1.5]}, np.float32, [0.5, 1.5]),
            ({"value": onnx.numpy_helper.from_array(np.array([[1.5]]))}, np.float64, [[1.5]]),
        ],
    )
    def test_numbers(self, attributes: Mapping[str, Any], dtype: type, want: Any) -> None:
        nodes = [node("Constant", [], ["k"], **attributes), node("Neg", ["k"], ["y"])]
        model = apply(LiftConstants(), build(nodes, {}, ["y"]))
        assert operators(model) == {"Neg": 1}
        tensor = model.graph.initializers["k"].const_value
        assert tensor is not None
        assert tensor.numpy().dtype == dtype and tensor.numpy().tolist() == want

    @pytest.mark.parametrize("attributes", [{"value_string": "a"}, {"value_strings": ["a", "b"]}])
    def test_text(self, attributes: Mapping[str, Any]) -> None:
        nodes = [node("Constant", [], ["k"], **attributes), node("Identity", ["k"], ["y"])]
        model = ir.from_proto(build(nodes, {}, ["y"]))
        LiftConstants()(model)
        assert operators(model) == {"Identity": 1}
        with pytest.raises(UnsupportedModelError, match="element type string"):
            prepare(model)

    def test_output_keeps_its_name(self) -> None:
        model = apply(LiftConstants(), build([node("Constant", [], ["y"], value_int=1)], {}, ["y"]))
        assert operators(model) == {"Identity": 1}

    def test_sparse_value_is_left_to_the_guard(self) -> None:
        values = helper.make_tensor("s", onnx.TensorProto.FLOAT, [1], [1.0])
        indices = helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0])
        sparse = helper.make_sparse_tensor(values, indices, [4])
        nodes = [node("Constant", [], ["k"], sparse_value=sparse), node("Neg", ["k"], ["y"])]
        with pytest.raises(UnsupportedModelError, match="Constant"):
            prepare(ir.from_proto(build(nodes, {}, ["y"])))


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
        product = build([*fills, node("MatMul", ["x", "k"], ["y"])], {"x": [1, 600]}, ["y"], weights)
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


class TestDropIdentity:
    def test_case_1_and_2(self) -> None:
        nodes = [
            node("Identity", ["x"], ["a"]),
            node("Dropout", ["a"], ["b", "mask"]),
            node("Dropout", ["b", "ratio", "training"], ["c"]),
            node("Relu", ["c"], ["y"]),
        ]
        weights = {"ratio": np.array(0.3, np.float32), "training": np.array(False)}
        model = apply(DropIdentity(), build(nodes, {"x": [4]}, ["y"], weights))
        assert operators(model) == {"Relu": 1}

    def test_case_3(self) -> None:
        nodes = [node("Sum", ["x"], ["a"]), node("Concat", ["a"], ["b"], axis=0)]
        nodes += [node("Max", ["b"], ["c"]), node("Relu", ["c"], ["y"])]
        model = apply(DropIdentity(), build(nodes, {"x": [4]}, ["y"]))
        assert operators(model) == {"Relu": 1}

    def test_output_takes_the_name_along(self) -> None:
        nodes = [node("Relu", ["x"], ["a"]), node("Identity", ["a"], ["y"])]
        model = apply(DropIdentity(), build(nodes, {"x": [4]}, ["y"]))
        assert operators(model) == {"Relu": 1}

    def test_copies_that_give_outputs_their_names_stay(self) -> None:
        nodes = [
            node("Identity", ["x"], ["y"]),
            node("Relu", ["x"], ["z"]),
            node("Identity", ["z"], ["w"]),
        ]
        model = apply(DropIdentity(), build(nodes, {"x": [4]}, ["y", "z", "w"]))
        assert operators(model) == {"Identity": 2, "Relu": 1}

    def test_mask_that_is_read_is_refused(self) -> None:
        nodes = [node("Dropout", ["x"], ["y", "mask"])]
        with pytest.raises(UnsupportedModelError, match="its mask is read"):
            prepare(ir.from_proto(build(nodes, {"x": [4]}, ["y", "mask"])))

    def test_dropout_in_training_is_refused(self) -> None:
        weights = {"ratio": np.array(0.3, np.float32), "training": np.array(True)}
        model = build([node("Dropout", ["x", "ratio", "training"], ["y"])], {"x": [4]}, ["y"], weights)
        with pytest.raises(UnsupportedModelError, match="in training mode"):
            prepare(ir.from_proto(model))


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


class TestMerging:
    def test_transposes(self) -> None:
        nodes = [
            node("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
            node("Transpose", ["a"], ["b"]),
            node("Relu", ["b"], ["y"]),
        ]
        model = apply(MergeTransposes(), build(nodes, {"x": [2, 3, 4, 5]}, ["y"]))
        assert operators(model) == {"Transpose": 1, "Relu": 1}

    def test_transposes_there_and_back_vanish(self) -> None:
        nodes = [
            node("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
            node("Transpose", ["a"], ["b"], perm=[0, 3, 1, 2]),
            node("Relu", ["b"], ["y"]),
        ]
        assert check(build(nodes, {"x": [2, 3, 4, 5]}, ["y"])) == {"Relu": 1}

    def test_shared_transpose_stays(self) -> None:
        nodes = [
            node("Transpose", ["x"], ["a"]),
            node("Transpose", ["a"], ["y"]),
            node("Relu", ["a"], ["z"]),
        ]
        model = apply(MergeTransposes(), build(nodes, {"x": [2, 3]}, ["y", "z"]))
        assert operators(model) == {"Transpose": 2, "Relu": 1}

    def test_reshapes(self) -> None:
        nodes = [
            node("Flatten", ["x"], ["a"]),
            node("Unsqueeze", ["a", "k"], ["b"]),
            node("Reshape", ["b", "s"], ["c"]),
            node("Relu", ["c"], ["y"]),
        ]
        weights = {"k": i64(0), "s": i64(0, -1)}
        model = apply(MergeReshapes(), build(nodes, {"x": [2, 3, 4]}, ["y"], weights))
        assert operators(model) == {"Reshape": 1, "Relu": 1}

    def test_reshapes_there_and_back_vanish(self) -> None:
        nodes = [
            node("Squeeze", ["x"], ["a"]),
            node("Unsqueeze", ["a", "k"], ["b"]),
            node("Relu", ["b"], ["y"]),
        ]
        assert check(build(nodes, {"x": [2, 1, 4]}, ["y"], {"k": i64(1)})) == {"Relu": 1}


def branch(op_type: str, name: str) -> onnx.GraphProto:
    """A branch with a weight of its own that reads ``x`` from outside."""
    return helper.make_graph(
        [node(op_type, ["x", "k"], ["t"]), node("Neg", ["t"], [name])],
        name,
        [],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array([2.0], np.float32), "k")],
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
            node("If", ["c"], ["y"], then_branch=branch("Mul", "p"), else_branch=branch("Add", "q")),
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

    def test_computed_condition_is_refused(self) -> None:
        nodes = [
            node("ReduceMax", ["x"], ["m"], keepdims=0),
            node("Cast", ["m"], ["c"], to=onnx.TensorProto.BOOL),
            node("If", ["c"], ["y"], then_branch=branch("Mul", "p"), else_branch=branch("Add", "q")),
        ]
        with pytest.raises(UnsupportedModelError, match="control flow"):
            prepare(ir.from_proto(build(nodes, {"x": [3]}, ["y"])))


class TestUpgradeOpset:
    def test_newer_models_are_left(self) -> None:
        model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"], opset=21))
        result = UpgradeOpset()(model)
        assert not result.modified and result.model.graph.opset_imports[""] == 21

    OLD: Sequence[tuple[int, Callable[[], onnx.ModelProto]]] = [
        (7, lambda: build([node("Softmax", ["x"], ["y"], axis=1)], {"x": [2, 3, 4]}, ["y"], opset=7)),
        (
            8,
            lambda: build(
                [node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 2.0])],
                {"x": [1, 2, 3, 4]},
                ["y"],
                opset=8,
            ),
        ),
        (
            9,
            lambda: build(
                [node("Slice", ["x"], ["y"], starts=[1], ends=[3], axes=[1])],
                {"x": [2, 4]},
                ["y"],
                opset=9,
            ),
        ),
        (
            9,
            lambda: build(
                [node("TopK", ["x"], ["y", "z"], k=2)], {"x": [2, 4]}, ["y", "z"], opset=9
            ),
        ),
        (
            10,
            lambda: build(
                [node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], {"x": [9]}, ["y"], opset=10
            ),
        ),
        (
            10,
            lambda: build(
                [node("Resize", ["x", "k"], ["y"], mode="nearest")],
                {"x": [1, 2, 3, 4]},
                ["y"],
                {"k": np.array([1, 1, 2, 2], np.float32)},
                opset=10,
            ),
        ),
        (
            10,
            lambda: build(
                [node("Pad", ["x"], ["y"], pads=[0, 1, 0, 2], value=0.5)],
                {"x": [2, 4]},
                ["y"],
                opset=10,
            ),
        ),
        (
            11,
            lambda: build(
                [node("Dropout", ["x"], ["d"], ratio=0.3), node("Squeeze", ["d"], ["y"], axes=[1])],
                {"x": [2, 1, 4]},
                ["y"],
                opset=11,
            ),
        ),
        (
            11,
            lambda: build(
                [node("Split", ["x"], ["y", "z"], axis=1, split=[1, 3])],
                {"x": [2, 4]},
                ["y", "z"],
                opset=11,
            ),
        ),
        (
            12,
            lambda: build(
                [node("ReduceSum", ["x"], ["y"], axes=[-1], keepdims=0)],
                {"x": [2, 4]},
                ["y"],
                opset=12,
            ),
        ),
        (
            17,
            lambda: build(
                [node("ReduceMean", ["x"], ["y"], axes=[-1, -2])], {"x": [2, 3, 4]}, ["y"], opset=17
            ),
        ),
        (
            17,
            lambda: build([node("Split", ["x"], ["y", "z"], axis=1)], {"x": [2, 4]}, ["y", "z"], opset=17),
        ),
    ]

    @pytest.mark.parametrize(("opset", "make"), OLD)
    def test_old_operators(self, opset: int, make: Callable[[], onnx.ModelProto]) -> None:
        model = make()
        assert model.opset_import[0].version == opset
        check(model)
        prepared = prepare(ir.from_proto(model))
        assert prepared.graph.opset_imports[""] == TARGET_OPSET

    def test_old_batch_norm(self) -> None:
        weights = {name: floats(3) ** 2 + 0.1 for name in "abcd"}
        weights["w"] = floats(3, 2, 1, 1)
        nodes = [
            node("Conv", ["x", "w"], ["c"]),
            node("BatchNormalization", ["c", *"abcd"], ["y"], epsilon=1e-3),
        ]
        assert check(build(nodes, {"x": [1, 2, 4, 4]}, ["y"], weights, opset=7)) == {"Conv": 1}

    def test_large_weights_come_along(self) -> None:
        weights = {"w": floats(40, 50), "b": floats(50)}
        nodes = [node("Gemm", ["x", "w", "b"], ["y"])]
        assert check(build(nodes, {"x": [2, 40]}, ["y"], weights, opset=9)) == {"Gemm": 1}

    def test_training_mode_of_old_is_refused(self) -> None:
        weights = {name: floats(3) ** 2 + 0.1 for name in "abcd"}
        outputs = ["y", "m", "v", "sm", "sv"]
        nodes = [node("BatchNormalization", ["x", *"abcd"], outputs)]
        model = ir.from_proto(build(nodes, {"x": [1, 3, 4, 4]}, outputs, weights, opset=9))
        with pytest.raises(UnsupportedModelError, match="BatchNormalization"):
            prepare(model)

    def test_operator_without_an_adapter_is_refused_by_name(self) -> None:
        # TopK's k became an input in opset 10; the adapter for a computed one does not exist.
        nodes = [node("Upsample", ["x", "k"], ["y"])]
        inputs = {"x": [1, 1, 2, 2], "k": [4]}
        model = ir.from_proto(build(nodes, inputs, ["y"], opset=9))
        with pytest.raises(UnsupportedModelError):
            prepare(model)

    def test_opset_zero_is_refused(self) -> None:
        model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"]))
        del model.graph.opset_imports[""]
        with pytest.raises(ModelError, match="the model uses opset 0"):
            UpgradeOpset()(model)


class TestInferShapes:
    def test_exporters_batch_size_gives_way(self) -> None:
        nodes = [node("Relu", ["x"], ["r"]), node("Neg", ["r"], ["y"])]
        model = ir.from_proto(build(nodes, {"x": [1, 4]}, ["y"]))
        model.graph.inputs[0].shape = ir.Shape([8, 4])
        assert InferShapes()(model).modified
        assert not InferShapes()(model).modified
        assert [static_shape(item.outputs[0]) for item in model.graph] == [(8, 4), (8, 4)]

    def test_contradiction(self) -> None:
        model = ir.from_proto(build([node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4], "w": [4, 3]}, ["y"]))
        model.graph.inputs[0].shape = ir.Shape([2, 5])
        with pytest.raises(ModelError, match="the shapes of the model contradict each other"):
            InferShapes()(model)


def test_weight_free_copy_is_small_and_leaves_the_model() -> None:
    weights = {"w": floats(100, 100), "s": i64(-1)}
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Reshape", ["m", "s"], ["y"])]
    model = ir.from_proto(build(nodes, {"x": [2, 100]}, ["y"], weights))
    proto = weight_free_proto(model)
    assert proto.ByteSize() < 1000
    assert [item.name for item in proto.graph.initializer] == ["s"]
    assert [item.name for item in proto.graph.input] == ["x", "w"]
    assert sorted(model.graph.initializers) == ["s", "w"]
    assert [value.name for value in model.graph.inputs] == ["x"]


def test_nodes_get_unique_names() -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Relu", ["a"], ["b"], name="n"),
        node("Neg", ["b"], ["y"], name="n"),
    ]
    model = apply(NameNodes(), build(nodes, {"x": [1]}, ["y"]))
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


def test_prepare_leaves_its_argument() -> None:
    weights = {"w": floats(3, 2, 1, 1), "k": floats(3, 1, 1)}
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Mul", ["c", "k"], ["y"])]
    model = ir.from_proto(build(nodes, {"x": [1, 2, 4, 4]}, ["y"], weights))
    before = ir.to_proto(model).SerializeToString()
    prepare(model)
    assert ir.to_proto(model).SerializeToString() == before
