from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.control_flow_models import loop_body
from tests.compiler.onnx_passes.small_models import build, check, node, random_feeds, run

COUNT = np.array(6, np.int64)


def doubling(*collected: str) -> onnx.GraphProto:
    """Doubles the state until its largest element passes 9."""
    return loop_body(
        [
            node("Add", ["state", "state"], ["next"]),
            node("ReduceMax", ["next"], ["most"], keepdims=0),
            node("Less", ["most", "bound"], ["goes_on"]),
            node("Identity", ["most"], ["seen"]),
        ],
        following=("next", *collected),
        weights={"bound": np.array(9, np.float32)},
    )


class TestMaskLoop:
    @pytest.mark.parametrize("seed", range(4))
    def test_condition_on_the_state(self, seed: int) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y"], body=doubling())]
        counts = check(build(nodes, {"x": [3, 4]}, ["y"], {"count": COUNT}), seed=seed)
        # The first iteration runs in any case, and the condition after the last one is not needed.
        assert counts["Where"] == 5 and counts["Add"] == 6 and counts["And"] == 4

    @pytest.mark.parametrize("start", [-9.0, 0.5, 99.0])
    def test_condition_before_the_first_iteration(self, start: float) -> None:
        nodes = [
            node("ReduceMax", ["x"], ["largest"], keepdims=0),
            node("Less", ["largest", "limit"], ["going"]),
            node("Loop", ["count", "going", "x"], ["y"], body=doubling()),
        ]
        weights = {"count": COUNT, "limit": np.array(50, np.float32)}
        model = build(nodes, {"x": [1]}, ["y"], weights)
        prepared = ir.to_proto(prepare(ir.from_proto(model)))
        feeds = {name: np.full_like(value, start) for name, value in random_feeds(model).items()}
        assert np.array_equal(run(model, feeds)[0], run(prepared, feeds)[0])

    def test_values_that_nobody_collects(self) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y", "unread"], body=doubling("seen"))]
        assert "Loop" not in check(build(nodes, {"x": [3]}, ["y"], {"count": COUNT}))


class TestRefusals:
    def test_collected_values(self) -> None:
        nodes = [node("Loop", ["count", "", "x"], ["y", "all"], body=doubling("seen"))]
        model = build(nodes, {"x": [3]}, ["y", "all"], {"count": COUNT})
        with pytest.raises(UnsupportedModelError, match="after iteration 0 is known at run time"):
            prepare(ir.from_proto(model))

    def test_state_that_grows(self) -> None:
        append = loop_body(
            [
                node("Concat", ["state", "x"], ["next"], axis=0),
                node("ReduceMax", ["next"], ["most"], keepdims=0),
                node("Less", ["most", "bound"], ["goes_on"]),
            ],
            weights={"bound": np.array(9, np.float32)},
        )
        nodes = [node("Loop", ["count", "", "x"], ["y"], body=append)]
        model = build(nodes, {"x": [1]}, ["y"], {"count": COUNT})
        with pytest.raises(UnsupportedModelError, match="give tensors of different shapes"):
            prepare(ir.from_proto(model))
