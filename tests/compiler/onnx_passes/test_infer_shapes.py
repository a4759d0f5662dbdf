from __future__ import annotations

import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes.graph_edits import static_shape
from edgewright.compiler.onnx_passes.infer_shapes import InferShapes
from edgewright.compiler.onnx_passes.weight_free import weight_free_proto
from edgewright.spec.errors import ModelError
from tests.compiler.onnx_passes.small_models import (
    build,
    floats,
    i64,
    node,
)


class TestInferShapes:
    def test_exporters_batch_size_gives_way(self) -> None:
        nodes = [node("Relu", ["x"], ["r"]), node("Neg", ["r"], ["y"])]
        model = ir.from_proto(build(nodes, {"x": [1, 4]}, ["y"]))
        model.graph.inputs[0].shape = ir.Shape([8, 4])
        assert InferShapes()(model).modified
        assert not InferShapes()(model).modified
        assert [static_shape(item.outputs[0]) for item in model.graph] == [(8, 4), (8, 4)]

    def test_contradiction(self) -> None:
        model = ir.from_proto(
            build([node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4], "w": [4, 3]}, ["y"])
        )
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
