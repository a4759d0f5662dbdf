from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from edgewright.compiler.onnx_passes import load_model, prepare
from edgewright.compiler.onnx_passes.check_operators import MAX_OPSET
from edgewright.spec.errors import ModelError, UnsupportedModelError
from tests.compiler.onnx_passes.small_models import build, node, run


def save(model: onnx.ModelProto, folder: Path) -> Path:
    file = folder / "m.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def message(
    model: onnx.ModelProto, folder: Path, shapes: dict[str, Sequence[int]] | None = None
) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(save(model, folder), shapes)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def relu(shape: Sequence[int | str], **options: Any) -> onnx.ModelProto:
    return build([node("Relu", ["x"], ["y"], name="r")], {"x": shape}, ["y"], **options)


def test_unknown_operator(tmp_path: Path) -> None:
    model = relu([1])
    model.graph.node[0].op_type = "Rleu"
    text = message(model, tmp_path)
    assert "ONNX opset 18 does not have: Rleu (node 'r')" in text


def test_operator_of_a_newer_opset(tmp_path: Path) -> None:
    model = relu([1])
    model.graph.node[0].op_type = "Gelu"
    assert "opset 18 does not have: Gelu" in message(model, tmp_path)


def test_unknown_domain(tmp_path: Path) -> None:
    model = relu([1])
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    text = message(model, tmp_path)
    assert "operators of another domain: com.microsoft.Relu; first in node 'r'" in text
    with pytest.raises(UnsupportedModelError):
        load_model(save(model, tmp_path))


def test_opset_too_new(tmp_path: Path) -> None:
    model, opset = relu([1]), MAX_OPSET + 1
    model.opset_import[0].version = opset
    assert f"uses opset {opset}, which is newer than those supported" in message(model, tmp_path)


def test_no_onnx_opset(tmp_path: Path) -> None:
    model = relu([1])
    model.opset_import[0].domain = "elsewhere"
    assert "imports no ONNX operator set" in message(model, tmp_path)


def test_newer_ir_version(tmp_path: Path) -> None:
    model = relu([1])
    model.ir_version = onnx.IR_VERSION + 1
    assert "which is newer than those supported" in message(model, tmp_path)


def test_no_outputs(tmp_path: Path) -> None:
    model = relu([1])
    del model.graph.output[:]
    assert "has no outputs" in message(model, tmp_path)


def test_checker(tmp_path: Path) -> None:
    model = relu([1])
    model.graph.node[0].input[0] = "absent"
    assert "is not a valid ONNX model: " in message(model, tmp_path)


def test_sparse_weight(tmp_path: Path) -> None:
    model = relu([1])
    values = helper.make_tensor("s", onnx.TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    assert "the weight 's' is stored as a sparse tensor" in message(model, tmp_path)


def test_sparse_constant(tmp_path: Path) -> None:
    values = helper.make_tensor("s", onnx.TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0])
    sparse = helper.make_sparse_tensor(values, indices, [4])
    nodes = [node("Constant", [], ["k"], sparse_value=sparse, name="c"), node("Neg", ["k"], ["y"])]
    assert "the node 'c' holds a sparse tensor" in message(build(nodes, {}, ["y"]), tmp_path)


def test_weight_with_too_many_elements(tmp_path: Path) -> None:
    model = relu([1])
    tensor = model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT)
    tensor.dims.extend([2**20, 2**20])
    assert "the weight 'w' has the shape 1048576x1048576" in message(model, tmp_path)


def test_weight_with_a_negative_extent(tmp_path: Path) -> None:
    model = relu([1])
    tensor = model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT)
    tensor.dims.extend([2, -1])
    assert "the weight 'w' has the shape 2x-1. No extent may be negative" in message(
        model, tmp_path
    )


def test_weights_that_are_inputs_before_ir_version_4(tmp_path: Path) -> None:
    weight = np.ones((4, 3), np.float32)
    model = build(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": [2, 4], "w": [4, 3]},
        ["y"],
        {"w": weight},
        opset=7,
    )
    model.ir_version = 3
    loaded = load_model(save(model, tmp_path))
    assert [value.name for value in loaded.graph.inputs] == ["x"]
    assert loaded.graph.initializers["w"].const_value is not None


def test_functions_are_inlined(tmp_path: Path) -> None:
    model = relu([2])
    function = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.graph.node[0].CopyFrom(helper.make_node("Twice", ["x"], ["y"], domain="mine", name="t"))
    loaded = load_model(save(model, tmp_path))
    assert [item.op_type for item in loaded.graph] == ["Add"]
    assert not loaded.functions
    feeds = {"x": np.array([1, -2], np.float32)}
    assert run(ir.to_proto(loaded), feeds)[0].tolist() == [2, -4]


def test_function_of_another_opset(tmp_path: Path) -> None:
    model = relu([2])
    nodes = [node("Neg", ["a"], ["b"])]
    imports = [helper.make_opsetid("", 12)]
    model.functions.append(helper.make_function("mine", "Old", ["a"], ["b"], nodes, imports))
    text = "the function 'Old' uses opset 12, and the model opset 18"
    assert text in message(model, tmp_path)


def test_spelled_out_domain(tmp_path: Path) -> None:
    model = relu([2], opset=12)
    model.opset_import[0].domain = "ai.onnx"
    prepared = prepare(load_model(save(model, tmp_path)))
    assert [(item.domain, item.op_type) for item in prepared.graph] == [("", "Relu")]


def test_errors_of_other_floors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        load_model(tmp_path / "absent.onnx")


class TestExternalData:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        weight = np.arange(12, dtype=np.float32).reshape(4, 3)
        model = build([node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4]}, ["y"], {"w": weight})
        onnx.save_model(
            model,
            folder / "m.onnx",
            save_as_external_data=True,
            location="w.bin",
            size_threshold=0,
        )
        return folder / "m.onnx"

    @staticmethod
    def edit(file: Path, **entries: str) -> None:
        model = onnx.load(file, load_external_data=False)
        tensor = model.graph.initializer[0]
        kept = {entry.key: entry.value for entry in tensor.external_data} | entries
        del tensor.external_data[:]
        for key, value in kept.items():
            if value:
                tensor.external_data.add(key=key, value=value)
        file.write_bytes(model.SerializeToString())

    @staticmethod
    def refused(file: Path) -> str:
        with pytest.raises(ModelError) as caught:
            load_model(file)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_is_read(self, file: Path) -> None:
        tensor = load_model(file).graph.initializers["w"].const_value
        assert tensor is not None
        assert tensor.numpy().tolist() == np.arange(12).reshape(4, 3).tolist()

    def test_is_read_from_any_working_directory(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(file.parent)
        assert load_model("m.onnx").graph.initializers["w"].const_value is not None

    def test_becomes_part_of_the_model(self, file: Path) -> None:
        loaded = load_model(file)
        (file.parent / "w.bin").unlink()
        proto = ir.to_proto(loaded)
        assert proto.graph.initializer[0].data_location == onnx.TensorProto.DEFAULT

    def test_missing(self, file: Path) -> None:
        (file.parent / "w.bin").unlink()
        assert "the external data file 'w.bin' of tensor 'w' is missing" in self.refused(file)

    def test_too_short(self, file: Path) -> None:
        (file.parent / "w.bin").write_bytes(b"123")
        text = self.refused(file)
        assert "'w.bin' is too short: tensor 'w' needs bytes 0 to 48, and the file has 3" in text

    def test_offset_beyond_the_end(self, file: Path) -> None:
        self.edit(file, offset="4096")
        assert "needs bytes 4096 to 4144" in self.refused(file)

    def test_no_location(self, file: Path) -> None:
        self.edit(file, location="")
        assert "has external data without a location" in self.refused(file)

    @pytest.mark.parametrize("location", ["/etc/hostname", "C:\\w.bin", "\\\\host\\w.bin"])
    def test_absolute(self, file: Path, location: str) -> None:
        self.edit(file, location=location)
        assert "is an absolute path" in self.refused(file)

    @pytest.mark.parametrize("location", ["../w.bin", "a/../../w.bin", ".."])
    def test_outside(self, file: Path, location: str) -> None:
        os.rename(file.parent / "w.bin", file.parent.parent / "w.bin")
        self.edit(file, location=location)
        assert "leaves the model's folder" in self.refused(file)

    def test_outside_through_a_link(self, file: Path) -> None:
        os.rename(file.parent / "w.bin", file.parent.parent / "w.bin")
        (file.parent / "w.bin").symlink_to(file.parent.parent / "w.bin")
        assert "leaves the model's folder through a symbolic link" in self.refused(file)

    def test_outside_through_a_linked_folder(self, file: Path) -> None:
        outside = file.parent.parent / "outside"
        outside.mkdir()
        os.rename(file.parent / "w.bin", outside / "w.bin")
        (file.parent / "inside").symlink_to(outside)
        self.edit(file, location="inside/w.bin")
        assert "leaves the model's folder through a symbolic link" in self.refused(file)

    @pytest.mark.parametrize(("key", "value"), [("offset", "-4"), ("length", "many")])
    def test_no_number(self, file: Path, key: str, value: str) -> None:
        self.edit(file, **{key: value})
        assert f"has the external data {key} {value!r}" in self.refused(file)

    def test_length_of_another_tensor(self, file: Path) -> None:
        self.edit(file, length="44")
        assert "takes 48 bytes, but its external data says 44" in self.refused(file)

    def test_text_cannot_be_external(self, file: Path) -> None:
        model = onnx.load(file, load_external_data=False)
        model.graph.initializer[0].data_type = onnx.TensorProto.STRING
        file.write_bytes(model.SerializeToString())
        assert "has external data of the element type 8" in self.refused(file)
