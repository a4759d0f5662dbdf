from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.bind_symbolic_dimensions import BindSymbolicDimensions
from edgewright.compiler.onnx_passes.graph_edits import static_shape
from edgewright.spec.errors import ModelError
from tests.compiler.onnx_passes.small_models import build, node

Shapes = dict[str, Sequence[int]]


def add(first: Sequence[int | str], second: Sequence[int | str]) -> ir.Model:
    model = build([node("Add", ["x", "y"], ["z"])], {"x": first, "y": second}, ["z"])
    return ir.from_proto(model)


def bound(model: ir.Model, shapes: Shapes | None = None) -> list[tuple[int, ...] | None]:
    result = BindSymbolicDimensions(shapes)(model)
    assert not BindSymbolicDimensions(shapes)(result.model).modified
    return [static_shape(value) for value in model.graph.inputs]


def message(model: ir.Model, shapes: Shapes | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        BindSymbolicDimensions(shapes)(model)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_case_1_given_shape() -> None:
    assert bound(add(["n", 3], [1, 3]), {"x": (4, 3)}) == [(4, 3), (1, 3)]


def test_case_1_fixed_shape_given_again_changes_nothing() -> None:
    model = add([2, 3], [2, 3])
    assert not BindSymbolicDimensions({"x": (2, 3)})(model).modified


def test_case_1_unknown_rank() -> None:
    model = add([2, 3], [2, 3])
    model.graph.inputs[0].shape = None
    assert bound(model, {"x": (2, 3)}) == [(2, 3), (2, 3)]


def test_case_1_negative_extent_is_open() -> None:
    model = add([2, 3], [2, 3])
    model.graph.inputs[0].shape = ir.Shape([-1, 3])
    assert bound(model, {"x": (2, 3)}) == [(2, 3), (2, 3)]


def test_case_2_symbol_of_two_inputs() -> None:
    assert bound(add(["n", "c"], ["n", 3]), {"x": (4, 3)}) == [(4, 3), (4, 3)]


def test_case_3_open_dimensions_are_named_with_the_argument() -> None:
    text = message(add(["batch", 3, "height", "width"], [1, 3, 1, 1]))
    assert "leaves open 'batch' of input 'x', 'height' of input 'x', 'width' of input 'x'" in text
    assert "--input-shape x:1x3x224x224" in text


def test_case_3_nameless_dimension() -> None:
    model = add([2, 3], [2, 3])
    model.graph.inputs[1].shape = ir.Shape([None, 3])
    text = message(model)
    assert "leaves open dimension 0 of input 'y'" in text and "--input-shape y:1x3" in text


def test_case_3_unknown_rank() -> None:
    model = add([2, 3], [2, 3])
    model.graph.inputs[0].shape = None
    assert "does not say how many dimensions input 'x' has" in message(model)


def test_unknown_input() -> None:
    text = message(add([1], [1]), {"q": (1,)})
    assert "has no input 'q'. Its inputs are 'x', 'y'" in text


def test_rank_contradicts() -> None:
    text = message(add(["n", 3], [1, 3]), {"x": (1, 3, 4)})
    assert "the shape 1x3x4 given for input 'x' has 3 dimensions" in text
    assert "input is nx3, which has 2" in text


def test_fixed_extent_contradicts() -> None:
    text = message(add(["n", 3], [1, 3]), {"x": (1, 4)})
    assert "the shape 1x4 given for input 'x' contradicts the model: dimension 1 is 3" in text


@pytest.mark.parametrize("extent", [0, -2])
def test_given_extent_is_not_positive(extent: int) -> None:
    assert f"has the extent {extent}" in message(add(["n", 3], [1, 3]), {"x": (extent, 3)})


def test_symbol_has_two_extents() -> None:
    text = message(add(["n", 3], ["n", 3]), {"x": (1, 3), "y": (2, 3)})
    assert "the dimension 'n' is 1 in input 'x' and 2 in input 'y'" in text


def test_zero_dimension() -> None:
    model = add([2, 3], [2, 3])
    model.graph.inputs[0].shape = ir.Shape([2, 0])
    assert "input 'x' is 2x0, which holds no element" in message(model)


def test_overflowing_dimension() -> None:
    text = message(add(["n", 2**20], [1, 1]), {"x": (2**20, 2**20)})
    assert "input 'x' is 1048576x1048576, which is 1099511627776 elements" in text


def test_model_without_inputs_is_fine() -> None:
    model = build([node("Constant", [], ["y"], value_float=1.0)], {}, ["y"])
    assert bound(ir.from_proto(model)) == []
    assert "Its inputs are none at all" in message(ir.from_proto(model), {"x": (1,)})


def test_outputs_follow() -> None:
    model = add(["n", 3], ["n", 3])
    bound(model, {"x": (5, 3)})
    assert static_shape(prepare(model).graph.outputs[0]) == (5, 3)
