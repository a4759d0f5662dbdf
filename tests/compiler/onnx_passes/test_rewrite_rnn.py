from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.compiler.onnx_passes.rewrite_rnn import RewriteRnn
from tests.compiler.onnx_passes.recurrent_models import (
    STEPS,
    check_activations,
    check_batch_first,
    check_lengths,
    recurrent,
)
from tests.compiler.onnx_passes.small_models import apply, check, operators

DIRECTIONS = ("forward", "reverse", "bidirectional")


class TestRewriteRnn:
    @pytest.mark.parametrize("direction", DIRECTIONS)
    @pytest.mark.parametrize("first", [False, True])
    def test_directions(self, direction: str, first: bool) -> None:
        counts = check(recurrent("RNN", direction=direction, first=first))
        assert "RNN" not in counts
        cells = 2 if direction == "bidirectional" else 1
        assert counts["MatMul"] == cells * STEPS

    @pytest.mark.parametrize(
        "attributes",
        [
            {"clip": 0.2, "first": True},
            {"bias": False},
            {"steps": 1},
            {"computed": ("w", "r", "b")},
            {"outputs": "y"},
            {"outputs": "_ y_h"},
            {"opset": 7},
        ],
        ids=lambda attributes: " ".join(attributes),
    )
    def test_attributes(self, attributes: dict[str, Any]) -> None:
        check(recurrent("RNN", **attributes))

    def test_activations(self) -> None:
        check_activations("RNN", 1)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_constant_lengths(self, direction: str) -> None:
        known = np.array([4, 0, 2], np.int32)
        check(recurrent("RNN", lengths=known, direction=direction, first=True))

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_computed_lengths(self, direction: str) -> None:
        check_lengths("RNN", direction=direction, first=True)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_batch_first(self, direction: str) -> None:
        check_batch_first("RNN", direction=direction, first=True)

    def test_alone_and_twice(self) -> None:
        assert "RNN" not in operators(apply(RewriteRnn(), recurrent("RNN")))
