from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.unroll_scan import UnrollScan
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.control_flow_models import body
from tests.compiler.onnx_passes.small_models import apply, build, check, floats, node, operators

SUM = body(
    [
        node("Add", ["sum", "left"], ["total"]),
        node("Mul", ["total", "right"], ["scaled"]),
        node("Identity", ["total"], ["seen"]),
    ],
    ["sum", "left", "right"],
    ["total", "scaled", "seen"],
)


def scan(**attributes: Any) -> Any:
    return node(
        "Scan",
        ["first", "a", "b"],
        ["y", "z", "seen_all"],
        body=SUM,
        num_scan_inputs=2,
        **attributes,
    )


class TestUnrollScan:
    @pytest.mark.parametrize("directions", [(0, 0), (1, 0), (0, 1)])
    @pytest.mark.parametrize("axes", [(0, 0), (1, 0), (-1, 1)])
    def test_axes_and_directions(self, directions: tuple[int, int], axes: tuple[int, int]) -> None:
        shapes = [[5, 3] if axis == 0 else [3, 5] for axis in axes]
        model = build(
            [
                scan(
                    scan_input_axes=axes,
                    scan_input_directions=directions,
                    scan_output_axes=axes[::-1],
                    scan_output_directions=directions[::-1],
                )
            ],
            {"first": [3], "a": shapes[0], "b": shapes[1]},
            ["y", "z", "seen_all"],
        )
        counts = check(model)
        assert counts["Add"] == 5 and counts["Concat"] == 2 and "Scan" not in counts

    def test_defaults(self) -> None:
        inputs = {"first": [3], "a": [4, 3], "b": [4, 3]}
        assert check(build([scan()], inputs, ["y", "z", "seen_all"]))["Mul"] == 4

    def test_outputs_that_nobody_reads(self) -> None:
        counts = check(build([scan()], {"first": [3], "a": [4, 3], "b": [4, 3]}, ["y"]))
        assert counts == {"Gather": 4, "Add": 4}

    def test_recurrent_cell(self) -> None:
        cell = body(
            [
                node("MatMul", ["h", "r"], ["state"]),
                node("Add", ["state", "x_t"], ["sum"]),
                node("Tanh", ["sum"], ["next"]),
                node("Identity", ["next"], ["seen"]),
            ],
            ["h", "x_t"],
            ["next", "seen"],
            {"r": floats(4, 4)},
        )
        nodes = [node("Scan", ["first", "x"], ["last", "y"], body=cell, num_scan_inputs=1)]
        weights = {"first": np.zeros((2, 4), np.float32)}
        # The product of the first state, which is known, is folded.
        counts = check(build(nodes, {"x": [6, 2, 4]}, ["last", "y"], weights))
        assert counts["MatMul"] == 5

    def test_alone_and_twice(self) -> None:
        inputs = {"first": [3], "a": [4, 3], "b": [4, 3]}
        model = build([scan()], inputs, ["y", "z", "seen_all"])
        assert "Scan" not in operators(apply(UnrollScan(), model))


class TestRefusals:
    def test_long_sequence(self) -> None:
        inputs = {"first": [3], "a": [1025, 3], "b": [1025, 3]}
        model = build([scan()], inputs, ["y", "z", "seen_all"])
        with pytest.raises(UnsupportedModelError, match="has 1025 iterations, and 1 to 1024"):
            prepare(ir.from_proto(model))

    def test_too_many_nodes(self) -> None:
        many = [node("Neg", [f"v{i}"], [f"v{i + 1}"]) for i in range(50)]
        long = body([*many, node("Identity", ["e"], ["f"])], ["v0", "e"], ["v50", "f"])
        nodes = [node("Scan", ["x", "s"], ["y", "unread"], body=long, num_scan_inputs=1)]
        model = build(nodes, {"x": [3], "s": [1000, 3]}, ["y"])
        with pytest.raises(UnsupportedModelError, match="1000 iterations become 51000 nodes"):
            prepare(ir.from_proto(model))

    def test_batched_scan_of_opset_8(self) -> None:
        nodes = [node("Scan", ["", "first", "a"], ["y"], body=SUM, num_scan_inputs=1)]
        model = build(nodes, {"first": [1, 3], "a": [1, 4, 3]}, ["y"], opset=8)
        with pytest.raises(UnsupportedModelError, match="a Scan of opset 8"):
            prepare(ir.from_proto(model))
