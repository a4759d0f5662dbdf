from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.upgrade_opset import TARGET_OPSET, UpgradeOpset
from edgewright.spec.errors import ModelError, UnsupportedModelError
from tests.compiler.onnx_passes.small_models import (
    assert_agree,
    build,
    check,
    floats,
    node,
)


class TestUpgradeOpset:
    def test_newer_models_are_left(self) -> None:
        model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"], opset=21))
        result = UpgradeOpset()(model)
        assert not result.modified and result.model.graph.opset_imports[""] == 21

    def test_an_attribute_that_became_an_input(self) -> None:
        """On its own: sorting is refused later."""
        old = build([node("TopK", ["x"], ["y", "z"], k=2)], {"x": [2, 4]}, ["y", "z"], opset=9)
        upgraded = UpgradeOpset()(ir.from_proto(old)).model
        top_k = next(each for each in upgraded.graph if each.op_type == "TopK")
        assert "k" not in top_k.attributes and len(top_k.inputs) == 2
        proto = ir.to_proto(upgraded)
        assert_agree(old, proto)

    OLD: Sequence[tuple[int, Callable[[], onnx.ModelProto]]] = [
        (
            7,
            lambda: build(
                [node("Softmax", ["x"], ["y"], axis=1)], {"x": [2, 3, 4]}, ["y"], opset=7
            ),
        ),
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
            lambda: build(
                [node("Split", ["x"], ["y", "z"], axis=1)], {"x": [2, 4]}, ["y", "z"], opset=17
            ),
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
        weights = {name: floats(3) ** 2 + 0.1 for name in "abde"}
        weights["w"] = floats(3, 2, 1, 1)
        nodes = [
            node("Conv", ["x", "w"], ["c"]),
            node("BatchNormalization", ["c", *"abde"], ["y"], epsilon=1e-3),
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
        with pytest.raises(UnsupportedModelError) as caught:
            prepare(model)
        text = "cannot be upgraded from opset 9 to 18: BatchNormalization outputs 4 and 5 are not"
        assert text in str(caught.value)

    def test_computed_parameter_of_old_is_refused(self) -> None:
        nodes = [node("Upsample", ["x", "k"], ["y"])]
        model = ir.from_proto(build(nodes, {"x": [1, 1, 2, 2], "k": [4]}, ["y"], opset=9))
        with pytest.raises(UnsupportedModelError, match=r"Resize .* input 'k' must be constant"):
            prepare(model)

    def test_opset_zero_is_refused(self) -> None:
        model = ir.from_proto(build([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"]))
        del model.graph.opset_imports[""]
        with pytest.raises(ModelError, match="the model uses opset 0"):
            UpgradeOpset()(model)
