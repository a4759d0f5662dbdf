from __future__ import annotations

from edgewright.compiler.onnx_passes.merge_reshapes import MergeReshapes
from edgewright.compiler.onnx_passes.merge_transposes import MergeTransposes
from tests.compiler.onnx_passes.small_models import (
    apply,
    build,
    check,
    i64,
    node,
    operators,
)


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
