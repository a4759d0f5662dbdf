from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.rewrite_gru import RewriteGru
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


class TestRewriteGru:
    @pytest.mark.parametrize("direction", DIRECTIONS)
    @pytest.mark.parametrize("first", [False, True])
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize("linear", [0, 1])
    def test_directions(self, direction: str, first: bool, bias: bool, linear: int) -> None:
        model = recurrent(
            "GRU", direction=direction, first=first, bias=bias, linear_before_reset=linear
        )
        counts = check(model)
        assert "GRU" not in counts
        cells = 2 if direction == "bidirectional" else 1
        products = 1 + (STEPS - 1) * (1 if linear else 2)
        # The product of a known first state is folded, but not where the reset gate comes first.
        products += first and not linear
        assert counts["MatMul"] == cells * products

    @pytest.mark.parametrize(
        "attributes",
        [
            {"clip": 0.2, "first": True},
            {"clip": 0.2, "linear_before_reset": 1, "direction": "bidirectional"},
            {"steps": 1},
            {"computed": ("w", "r", "b"), "linear_before_reset": 1},
            {"outputs": "y"},
            {"outputs": "_ y_h"},
            {"opset": 7},
        ],
        ids=lambda attributes: " ".join(attributes),
    )
    def test_attributes(self, attributes: dict[str, Any]) -> None:
        check(recurrent("GRU", **attributes))

    def test_activations(self) -> None:
        check_activations("GRU", 2)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_constant_lengths(self, direction: str) -> None:
        known = np.array([4, 0, 2], np.int32)
        check(recurrent("GRU", lengths=known, direction=direction, first=True))

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_computed_lengths(self, direction: str) -> None:
        check_lengths("GRU", direction=direction, first=True, linear_before_reset=1)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_batch_first(self, direction: str) -> None:
        check_batch_first("GRU", direction=direction, first=True)

    def test_alone_and_twice(self) -> None:
        assert "GRU" not in operators(apply(RewriteGru(), recurrent("GRU")))

    def test_long_sequence_is_refused(self) -> None:
        model = recurrent("GRU", steps=513, direction="bidirectional")
        with pytest.raises(UnsupportedModelError, match="2 x 513 steps"):
            prepare(ir.from_proto(model))
