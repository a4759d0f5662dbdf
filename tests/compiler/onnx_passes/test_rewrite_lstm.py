from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.rewrite_lstm import RewriteLstm
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.recurrent_models import (
    STEPS,
    check_activations,
    check_batch_first,
    check_lengths,
    recurrent,
)
from tests.compiler.onnx_passes.small_models import apply, check, operators

DIRECTIONS = ("forward", "reverse", "bidirectional")


class TestRewriteLstm:
    @pytest.mark.parametrize("direction", DIRECTIONS)
    @pytest.mark.parametrize("first", [False, True])
    def test_directions(self, direction: str, first: bool) -> None:
        counts = check(recurrent("LSTM", direction=direction, first=first))
        assert "LSTM" not in counts
        # The inputs of all steps are one product; the first state is known, its product folded.
        cells = 2 if direction == "bidirectional" else 1
        assert counts["MatMul"] == cells * STEPS

    @pytest.mark.parametrize(
        "attributes",
        [
            {"clip": 0.3, "first": True},
            {"peepholes": True, "first": True},
            {"peepholes": True, "direction": "bidirectional", "clip": 0.2},
            {"input_forget": 1, "first": True},
            {"input_forget": 1, "peepholes": True, "direction": "reverse"},
            {"bias": False},
            {"steps": 1, "first": True},
            {"computed": ("w", "r", "b")},
            {"opset": 7},
        ],
        ids=lambda attributes: " ".join(attributes),
    )
    def test_attributes(self, attributes: dict[str, Any]) -> None:
        check(recurrent("LSTM", **attributes))

    @pytest.mark.parametrize("outputs", ["y", "_ y_h", "_ _ y_c", "y _ y_c"])
    def test_some_outputs(self, outputs: str) -> None:
        counts = check(recurrent("LSTM", outputs=outputs))
        assert ("Concat" in counts) == ("y" in outputs.split())

    def test_activations(self) -> None:
        check_activations("LSTM", 3)

    def test_numbers_go_to_the_activations_that_take_one(self) -> None:
        model = recurrent(
            "LSTM",
            activations=["Sigmoid", "LeakyRelu", "HardSigmoid"],
            activation_alpha=[0.3, 0.4],
            activation_beta=[0.6],
        )
        check(model)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    @pytest.mark.parametrize("lengths", [(5, 2, 1), (5, 0, 1), (3, 2, 1), (5, 5, 5)])
    def test_constant_lengths(self, direction: str, lengths: tuple[int, ...]) -> None:
        known = np.array(lengths, np.int32)
        counts = check(recurrent("LSTM", lengths=known, direction=direction, first=True))
        cells = 2 if direction == "bidirectional" else 1
        assert counts["MatMul"] == cells * max(lengths), "steps beyond all lengths"
        assert ("Where" in counts) == (min(lengths) < max(lengths))

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_computed_lengths(self, direction: str) -> None:
        check_lengths("LSTM", direction=direction, first=True)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_batch_first(self, direction: str) -> None:
        check_batch_first("LSTM", direction=direction, first=True)

    def test_alone_and_twice(self) -> None:
        assert "LSTM" not in operators(apply(RewriteLstm(), recurrent("LSTM")))

    def test_weights_are_shared_by_all_steps(self) -> None:
        model = recurrent("LSTM", steps=40)
        prepared = prepare(ir.from_proto(model))
        given = sum(numpy_helper.to_array(item).nbytes for item in model.graph.initializer)
        values = prepared.graph.initializers.values()
        kept = sum(value.const_value.nbytes for value in values if value.const_value is not None)
        assert kept < given + 1024

    def test_many_steps_are_joined_in_groups(self) -> None:
        model = recurrent("LSTM", steps=70)
        counts = check(model)
        joined = [
            len(node.inputs)
            for node in prepare(ir.from_proto(model)).graph
            if node.op_type == "Concat"
        ]
        assert sorted(joined) == [3, 6, 32, 32] and counts["Concat"] == 4

    def test_steps_name_the_operator_they_were_made_of(self) -> None:
        prepared = prepare(ir.from_proto(recurrent("LSTM")))
        assert {node.metadata_props["edgewright.nodes"] for node in prepared.graph} == {"cell"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("attributes", "reason"),
        [
            ({"steps": 1025}, "1 x 1025 steps, and at most 1024 are written out"),
            ({"activations": ["Affine", "Tanh", "Tanh"]}, "Affine needs activation_alpha"),
            ({"activations": ["Sine", "Tanh", "Tanh"]}, "Sine is not one of ONNX's"),
            ({"activations": ["Sigmoid"]}, "names 1 activations, and has 3"),
        ],
    )
    def test_reason(self, attributes: dict[str, Any], reason: str) -> None:
        with pytest.raises(UnsupportedModelError, match=reason):
            prepare(ir.from_proto(recurrent("LSTM", **attributes)))
