from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.unroll_loop import UnrollLoop
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.control_flow_models import KEEP_GOING, loop_body
from tests.compiler.onnx_passes.small_models import (
    Array,
    apply,
    build,
    check,
    floats,
    node,
    operators,
)

GROW = loop_body(
    [
        KEEP_GOING,
        node("MatMul", ["state", "w"], ["product"]),
        node("Tanh", ["product"], ["next"]),
        node("Identity", ["next"], ["seen"]),
    ],
    following=("next", "seen"),
    weights={"w": floats(4, 4)},
)


def trips(count: int) -> Array:
    return np.array(count, np.int64)


class TestUnrollLoop:
    def test_constant_trip_count(self) -> None:
        model = build(
            [node("Loop", ["count", "", "x"], ["y", "all"], body=GROW)],
            {"x": [3, 4]},
            ["y", "all"],
            {"count": trips(5)},
        )
        counts = check(model)
        assert counts["MatMul"] == 5 and "Loop" not in counts
        weights = prepare(ir.from_proto(model)).graph.initializers.values()
        assert [value.shape for value in weights].count(ir.Shape([4, 4])) == 1, "one for all"

    def test_collected_values_that_nobody_reads(self) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y", "all"], body=GROW)]
        counts = check(build(nodes, {"x": [3, 4]}, ["y"], {"count": trips(2)}))
        assert counts == {"MatMul": 2, "Tanh": 2}

    def test_no_iteration_gives_the_first_state(self) -> None:
        nodes = [
            node("Loop", ["count", "", "x"], ["last", "unread"], body=GROW),
            node("Neg", ["last"], ["y"]),
        ]
        assert check(build(nodes, {"x": [3, 4]}, ["y"], {"count": trips(0)})) == {"Neg": 1}

    def test_condition_that_is_false_from_the_start(self) -> None:
        nodes = [
            node("Loop", ["count", "going", "x"], ["last", "unread"], body=GROW),
            node("Neg", ["last"], ["y"]),
        ]
        weights = {"count": trips(3), "going": np.array(False)}
        assert check(build(nodes, {"x": [3, 4]}, ["y"], weights)) == {"Neg": 1}

    @pytest.mark.parametrize("limit", ["", "count"])
    def test_condition_on_the_number_of_the_iteration(self, limit: str) -> None:
        until = loop_body(
            [
                node("Less", ["number", "last"], ["goes_on"]),
                node("Cast", ["number"], ["float"], to=TensorProto.FLOAT),
                node("Add", ["state", "float"], ["next"]),
            ],
            weights={"last": trips(3)},
        )
        nodes = [node("Loop", [limit, "true", "x"], ["y"], body=until)]
        weights = {"true": np.array(True), "count": np.array(2**62, np.int64)}
        assert check(build(nodes, {"x": [3]}, ["y"], weights)) == {"Add": 4}

    def test_condition_on_a_state_of_its_own(self) -> None:
        halve = loop_body(
            [
                node("Mul", ["factor", "half"], ["smaller"]),
                node("Greater", ["smaller", "least"], ["goes_on"]),
                node("Mul", ["state", "smaller"], ["next"]),
            ],
            ("state", "factor"),
            ("next", "smaller"),
            {"half": np.array(0.5, np.float32), "least": np.array(0.1, np.float32)},
        )
        nodes = [node("Loop", ["", "true", "x", "one"], ["y", "unread"], body=halve)]
        weights = {"true": np.array(True), "one": np.array(1, np.float32)}
        assert check(build(nodes, {"x": [3]}, ["y"], weights)) == {"Mul": 4}

    def test_nested(self) -> None:
        inner = loop_body(
            [
                node("Identity", ["in_going"], ["in_goes_on"]),
                node("Mul", ["in_state", "k"], ["in_next"]),
            ],
            ("in_state",),
            ("in_next",),
            prefix="in_",
        )
        outer = loop_body(
            [
                KEEP_GOING,
                node("Add", ["number", "one"], ["times"]),
                node("Loop", ["times", "", "state"], ["inside"], body=inner),
                node("Add", ["inside", "x"], ["next"]),
            ],
            weights={"one": trips(1)},
        )
        nodes = [node("Loop", ["count", "", "x"], ["y"], body=outer)]
        weights = {"count": trips(3), "k": np.float32([2.0])}
        assert check(build(nodes, {"x": [3]}, ["y"], weights)) == {"Mul": 1 + 2 + 3, "Add": 3}

    def test_state_that_grows(self) -> None:
        append = loop_body([KEEP_GOING, node("Concat", ["state", "x"], ["next"], axis=0)])
        nodes = [node("Loop", ["count", "", "x"], ["y"], body=append)]
        check(build(nodes, {"x": [3]}, ["y"], {"count": trips(2)}))

    def test_body_of_an_old_opset(self) -> None:
        old = loop_body(
            [
                KEEP_GOING,
                node("Unsqueeze", ["state"], ["wide"], axes=[0]),
                node("Softmax", ["wide"], ["soft"]),
                node("Squeeze", ["soft"], ["next"], axes=[0]),
            ]
        )
        nodes = [node("Loop", ["count", "", "x"], ["y"], body=old)]
        check(build(nodes, {"x": [3, 4]}, ["y"], {"count": trips(2)}, opset=11))

    def test_alone_and_twice(self) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y", "all"], body=GROW)]
        model = build(nodes, {"x": [3, 4]}, ["y", "all"], {"count": trips(3)})
        assert "Loop" not in operators(apply(UnrollLoop(), model))


class TestRefusals:
    def refuse(self, model: onnx.ModelProto, reason: str) -> None:
        with pytest.raises(UnsupportedModelError, match=reason):
            prepare(ir.from_proto(model))

    def test_computed_trip_count(self) -> None:
        nodes = [
            node("ReduceMax", ["x"], ["most"], keepdims=0),
            node("Cast", ["most"], ["count"], to=TensorProto.INT64),
            node("Loop", ["count", "", "x"], ["y", "unread"], body=GROW),
        ]
        model = build(nodes, {"x": [3, 4]}, ["y"])
        self.refuse(model, "trip count 'count' is known at run time only")

    def test_computed_condition(self) -> None:
        until = loop_body(
            [
                node("Add", ["state", "state"], ["next"]),
                node("ReduceMax", ["next"], ["most"], keepdims=0),
                node("Less", ["most", "bound"], ["goes_on"]),
            ],
            weights={"bound": np.float32(9)},
        )
        nodes = [node("Loop", ["", "true", "x"], ["y"], body=until)]
        model = build(nodes, {"x": [3, 4]}, ["y"], {"true": np.array(True)})
        self.refuse(model, "condition after iteration 0 is known at run time only")

    def test_random_condition(self) -> None:
        until = loop_body(
            [
                node("RandomUniformLike", ["bound"], ["chance"]),
                node("Less", ["chance", "bound"], ["goes_on"]),
                node("Add", ["state", "state"], ["next"]),
            ],
            weights={"bound": np.array(0.9, np.float32)},
        )
        nodes = [node("Loop", ["", "true", "x"], ["y"], body=until)]
        model = build(nodes, {"x": [3, 4]}, ["y"], {"true": np.array(True)})
        self.refuse(model, "condition after iteration 0 is known at run time only")

    def test_too_many_iterations(self) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y", "unread"], body=GROW)]
        model = build(nodes, {"x": [3, 4]}, ["y"], {"count": trips(1025)})
        self.refuse(model, "more than 1024 iterations")

    def test_endless(self) -> None:
        nodes = [node("Loop", ["", "true", "x"], ["y", "unread"], body=GROW)]
        model = build(nodes, {"x": [3, 4]}, ["y"], {"true": np.array(True)})
        self.refuse(model, "more than 1024 iterations")

    def test_too_many_nodes(self) -> None:
        many = [node("Neg", [f"v{i}"], [f"v{i + 1}"]) for i in range(50)]
        long = loop_body([KEEP_GOING, *many], ("v0",), ("v50",))
        nodes = [node("Loop", ["count", "", "x"], ["y"], body=long)]
        model = build(nodes, {"x": [3, 4]}, ["y"], {"count": trips(1000)})
        self.refuse(model, "1000 iterations become 51000 nodes, and at most 20000 are allowed")

    def test_nothing_collected(self) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y", "all"], body=GROW)]
        model = build(nodes, {"x": [3, 4]}, ["y", "all"], {"count": trips(0)})
        self.refuse(model, "never runs, and what it collects has no elements")

    def test_sequence(self) -> None:
        state = helper.make_tensor_sequence_value_info("state", TensorProto.FLOAT, None)
        following = helper.make_tensor_sequence_value_info("next", TensorProto.FLOAT, None)
        insert = loop_body([KEEP_GOING, node("SequenceInsert", ["state", "x"], ["next"])], (), ())
        insert.input.append(state)
        insert.output.append(following)
        nodes = [
            node("SequenceEmpty", [], ["empty"]),
            node("Loop", ["count", "", "empty"], ["list"], body=insert),
            node("ConcatFromSequence", ["list"], ["y"], axis=0),
        ]
        model = build(nodes, {"x": [3]}, ["y"], {"count": trips(2)})
        self.refuse(model, "is a sequence, an optional or sparse, and no tensor")
