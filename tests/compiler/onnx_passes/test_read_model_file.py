from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgewright.compiler.onnx_passes.read_model_file import read_model_file
from edgewright.spec.errors import ModelError
from tests.compiler.onnx_passes.small_models import build, node


@pytest.fixture
def content() -> bytes:
    weight = onnx.numpy_helper.to_array(
        onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [4, 3], [0.5] * 12)
    )
    model = build([node("MatMul", ["x", "w"], ["y"])], {"x": [2, 4]}, ["y"], {"w": weight})
    return bytes(model.SerializeToString())


def message(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_model_file(path)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_a_model_is_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(content)
    assert read_model_file(file).graph.node[0].op_type == "MatMul"


def test_no_such_file(tmp_path: Path) -> None:
    assert "there is no file" in message(tmp_path / "absent.onnx")


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in message(tmp_path)


def test_empty(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    file.touch()
    assert "is empty" in message(file)


@pytest.mark.parametrize(
    "text", [b"hello, world", b"PK\x03\x04 a zip file", b"{'a': 1}", b"\x00" * 64]
)
def test_not_onnx(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(text)
    assert "is not an ONNX file" in message(file)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated(tmp_path: Path, content: bytes, share: float) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(content[: int(len(content) * share)])
    assert "is truncated: it ends" in message(file)


def test_every_truncation_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m.onnx"
    for length in range(1, len(content)):
        file.write_bytes(content[:length])
        message(file)


def test_damaged(tmp_path: Path, content: bytes) -> None:
    # The graph follows the IR version (2 bytes), its own tag (1) and its length (2).
    broken = content[:5] + b"\x0f" * 14 + content[19:]
    file = tmp_path / "m.onnx"
    file.write_bytes(broken)
    assert "is a damaged ONNX file" in message(file)


def test_other_protobuf_messages(tmp_path: Path, content: bytes) -> None:
    model = onnx.ModelProto.FromString(content)
    file = tmp_path / "m.onnx"
    for other in (model.graph, model.graph.node[0], model.graph.input[0], model.opset_import[0]):
        file.write_bytes(other.SerializeToString())
        assert "is a protobuf message, but no ONNX model: it has no " in message(file)


def test_tensor_file(tmp_path: Path, content: bytes) -> None:
    # A tensor's name stands where a model's opset would, and is none.
    file = tmp_path / "m.onnx"
    tensor = onnx.ModelProto.FromString(content).graph.initializer[0]
    file.write_bytes(tensor.SerializeToString())
    assert "is not an ONNX file" in message(file)


def test_larger_than_protobuf_reads(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    with file.open("wb") as stream:
        stream.truncate(2**31)
    assert "Save the weights as external data" in message(file)


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(b"x")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "cannot be read: Permission denied" in message(file)
