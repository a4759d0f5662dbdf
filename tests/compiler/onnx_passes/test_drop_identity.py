from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.drop_identity import DropIdentity
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.small_models import (
    apply,
    build,
    node,
    operators,
    run,
)


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

    def test_mask_that_is_read_is_true(self) -> None:
        nodes = [node("Dropout", ["x"], ["y", "mask"])]
        prepared = prepare(ir.from_proto(build(nodes, {"x": [4]}, ["y", "mask"])))
        feeds = {"x": np.arange(4, dtype=np.float32)}
        y, mask = run(ir.to_proto(prepared), feeds)
        assert np.array_equal(y, feeds["x"]) and mask.dtype == bool and mask.all()

    def test_dropout_in_training_is_refused(self) -> None:
        weights = {"ratio": np.array(0.3, np.float32), "training": np.array(True)}
        model = build(
            [node("Dropout", ["x", "ratio", "training"], ["y"])], {"x": [4]}, ["y"], weights
        )
        with pytest.raises(UnsupportedModelError, match="in training mode"):
            prepare(ir.from_proto(model))
