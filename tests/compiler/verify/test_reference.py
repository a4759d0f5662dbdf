from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compiler.verify.golden import make_golden
from edgewright.compiler.verify.reference import OnnxRuntimeRunner, index_limits, seeded_inputs
from edgewright.compiler.verify.runner import check_inputs
from edgewright.spec.errors import TensorError, UnsupportedModelError
from edgewright.spec.tensor import TensorSpec

X = TensorSpec("x", (2, 3))


def model_of(nodes, inputs, outputs, initializers=()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def one_node(op: str, **attributes) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    return model_of([helper.make_node(op, ["x"], ["y"], **attributes)], [x], [y])


def test_the_reference_runs_a_file_and_bytes(tmp_path: Path) -> None:
    model = one_node("Relu")
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    arrays = seeded_inputs([X])
    for source in (path, model.SerializeToString()):
        with OnnxRuntimeRunner(source) as runner:
            assert runner.name.startswith("onnxruntime 1.")
            result = runner.infer(arrays)
        np.testing.assert_array_equal(result["y"], np.maximum(arrays["x"], 0))


def test_a_model_that_the_reference_refuses_is_unsupported() -> None:
    model = one_node("NoSuchOperator")
    with (
        pytest.raises(UnsupportedModelError, match="onnxruntime, the reference, cannot load"),
        OnnxRuntimeRunner(model.SerializeToString()),
    ):
        pass


def test_a_model_that_only_its_optimisations_break_is_run_without_them() -> None:
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[1, 1]),
    ]
    pads = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 0, 0]), "pads")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3])
    model = model_of(nodes, [x], [y], [pads])
    with OnnxRuntimeRunner(model.SerializeToString()) as runner:
        assert "not optimised" in runner.name
        pooled = runner.infer({"x": np.ones((1, 1, 2, 2), np.float32)})["y"]
    np.testing.assert_array_equal(pooled, [[[[0, 0, 0], [0, 1, 1], [0, 1, 1]]]])


def test_a_run_that_fails_is_reported() -> None:
    with (
        OnnxRuntimeRunner(one_node("Relu").SerializeToString()) as runner,
        pytest.raises(UnsupportedModelError, match="cannot run the model"),
    ):
        runner.infer({"x": np.zeros((5, 5), np.float32)})


def test_inputs_repeat_by_seed_and_fit_their_specs() -> None:
    specs = [
        TensorSpec("f", (50,)),
        TensorSpec("h", (50,), "float16"),
        TensorSpec("image", (1000,), "uint8"),
        TensorSpec("ids", (200,), "int64"),
        TensorSpec("mask", (200,), "int32"),
        TensorSpec("flag", (50,), "bool"),
        TensorSpec("scalar", ()),
    ]
    first, again, other = (
        seeded_inputs(specs, 3, {"ids": 17}),
        seeded_inputs(specs, 3, {"ids": 17}),
        seeded_inputs(specs, 4, {"ids": 17}),
    )
    for spec in specs:
        assert first[spec.name].shape == spec.shape
        assert first[spec.name].dtype.name == spec.dtype
        np.testing.assert_array_equal(first[spec.name], again[spec.name])
    assert (first["f"] != other["f"]).any()
    assert first["image"].max() > 200
    assert set(first["ids"]) == set(range(17))
    assert set(first["mask"]) == {0, 1}


def test_indices_stay_inside_the_tables_they_index() -> None:
    table = numpy_helper.from_array(np.zeros((11, 4), np.float32), "table")
    small = numpy_helper.from_array(np.zeros((5, 4), np.float32), "small")
    shape = numpy_helper.from_array(np.array([6]), "shape")
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [2, 3])
    other = helper.make_tensor_value_info("other", TensorProto.INT64, [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["a"]),
        helper.make_node("Reshape", ["ids", "shape"], ["flat"]),
        helper.make_node("Gather", ["small", "flat"], ["b"], axis=0),
        helper.make_node("Cast", ["other"], ["y"], to=TensorProto.FLOAT),
    ]
    model = model_of(nodes, [ids, other], [y], [table, small, shape])
    assert index_limits(model) == {"ids": 5}


def test_golden_tensors_are_the_references(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(one_node("Tanh"), path)
    golden = make_golden(path, [X], [TensorSpec("y", (2, 3))], seed=5)
    assert golden.seed == 5
    np.testing.assert_allclose(golden.outputs["y"], np.tanh(golden.inputs["x"]), rtol=1e-6)


def test_golden_tensors_need_the_shape_that_the_reference_gives(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(one_node("Tanh"), path)
    with pytest.raises(UnsupportedModelError, match=r"reference gives float32\[2, 3\]"):
        make_golden(path, [X], [TensorSpec("y", (3, 2))])


def test_golden_tensors_must_be_finite(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(one_node("Sqrt"), path)
    with pytest.raises(UnsupportedModelError, match="'y' of the reference holds NaN"):
        make_golden(path, [X], [TensorSpec("y", (2, 3))])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "the input 'x' is missing. The model takes x: float32[2, 3]"),
        ({"z": np.zeros((2, 3), np.float32)}, "the model has no input 'z'"),
        ({"x": np.zeros((2, 3))}, "has the element type float64"),
        ({"x": np.zeros((3, 2), np.float32)}, "has the shape [3, 2]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(TensorError) as caught:
        check_inputs(arrays, [X])
    assert message in str(caught.value)


def test_inputs_become_row_major_in_the_models_order() -> None:
    specs = [TensorSpec("a", (2, 3)), TensorSpec("b", ())]
    given = {"b": np.array(1, np.float32), "a": np.asfortranarray(np.ones((2, 3), np.float32))}
    checked = check_inputs(given, specs)
    assert list(checked) == ["a", "b"]
    assert checked["a"].flags.c_contiguous
    assert checked["b"].shape == ()


def test_integers_compared_with_constants_reach_beyond_them() -> None:
    nodes = [
        helper.make_node("Cast", ["lengths"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Less", ["positions", "wide"], ["mask"]),
        helper.make_node("Cast", ["mask"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "masked",
        [helper.make_tensor_value_info("lengths", TensorProto.INT32, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5])],
        [numpy_helper.from_array(np.arange(5), "positions")],
    )
    assert index_limits(helper.make_model(graph)) == {"lengths": 6}
