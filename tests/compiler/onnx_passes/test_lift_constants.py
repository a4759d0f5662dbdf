from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.lift_constants import LiftConstants
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.small_models import (
    apply,
    build,
    node,
    operators,
)


class TestLiftConstants:
    @pytest.mark.parametrize(
        ("attributes", "dtype", "want"),
        [
            ({"value_int": 3}, np.int64, 3),
            ({"value_ints": [3, 4]}, np.int64, [3, 4]),
            ({"value_float": 0.5}, np.float32, 0.5),
            ({"value_floats": [0.5, 1.5]}, np.float32, [0.5, 1.5]),
            ({"value": onnx.numpy_helper.from_array(np.array([[1.5]]))}, np.float64, [[1.5]]),
        ],
    )
    def test_numbers(self, attributes: Mapping[str, Any], dtype: type, want: Any) -> None:
        nodes = [node("Constant", [], ["k"], **attributes), node("Neg", ["k"], ["y"])]
        model = apply(LiftConstants(), build(nodes, {}, ["y"]))
        assert operators(model) == {"Neg": 1}
        tensor = model.graph.initializers["k"].const_value
        assert tensor is not None
        assert tensor.numpy().dtype == dtype and tensor.numpy().tolist() == want

    @pytest.mark.parametrize("attributes", [{"value_string": "a"}, {"value_strings": ["a", "b"]}])
    def test_text(self, attributes: Mapping[str, Any]) -> None:
        nodes = [node("Constant", [], ["k"], **attributes), node("Identity", ["k"], ["y"])]
        model = ir.from_proto(build(nodes, {}, ["y"]))
        LiftConstants()(model)
        assert operators(model) == {"Identity": 1}
        with pytest.raises(UnsupportedModelError, match="element type string"):
            prepare(model)

    def test_output_keeps_its_name(self) -> None:
        model = apply(LiftConstants(), build([node("Constant", [], ["y"], value_int=1)], {}, ["y"]))
        assert operators(model) == {"Identity": 1}
