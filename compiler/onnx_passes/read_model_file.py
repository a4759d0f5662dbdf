"""Reads the bytes of an ``.onnx`` file, and says what is wrong with those that are not one."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from edgewright.spec.errors import ModelError

__all__ = ["read_model_file"]

# Protobuf refuses messages of 2 GiB and more: https://protobuf.dev/programming-guides/proto-limits
_PROTOBUF_LIMIT_BYTES = 2**31 - 1

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

# Fields of onnx.ModelProto and their wire types; see onnx.proto.
_MODEL_FIELDS = {
    1: _VARINT,  # ir_version
    2: _LENGTH,  # producer_name
    3: _LENGTH,  # producer_version
    4: _LENGTH,  # domain
    5: _VARINT,  # model_version
    6: _LENGTH,  # doc_string
    7: _LENGTH,  # graph
    8: _LENGTH,  # opset_import
    14: _LENGTH,  # metadata_props
    20: _LENGTH,  # training_info
    25: _LENGTH,  # functions
    26: _LENGTH,  # configuration
}


def read_model_file(path: Path) -> onnx.ModelProto:
    """The model in the file, with external data neither read nor checked.

    Args:
        path: an ``.onnx`` file in ONNX's binary format.

    Raises:
        ModelError: no such file, a directory, unreadable, empty, too large, truncated, not ONNX, or
            another protobuf message.
    """
    content = _read_bytes(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise _explain(path, content) from None
    absent = [name for name in ("ir_version", "graph", "opset_import") if not _has(model, name)]
    if absent:
        raise ModelError(
            f"'{path}' is a protobuf message, but no ONNX model: it has no "
            f"{' and no '.join(absent)}",
            rule="A model is a whole onnx.ModelProto, not a tensor, a graph or another message.",
            remedy="Give the .onnx file that the exporter wrote.",
        )
    return model


def _has(model: onnx.ModelProto, name: str) -> bool:
    return model.HasField("graph") if name == "graph" else bool(getattr(model, name))


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(
            f"'{path}' is a directory",
            rule="A model is one .onnx file, with its external data beside it.",
            remedy="Give the .onnx file inside it.",
        )
    try:
        size = path.stat().st_size
        if size > _PROTOBUF_LIMIT_BYTES:
            raise ModelError(
                f"'{path}' is {size} bytes long",
                rule=f"Protobuf reads at most {_PROTOBUF_LIMIT_BYTES} bytes in one file.",
                remedy="Save the weights as external data: onnx.save_model(model, path, "
                "save_as_external_data=True).",
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"there is no file '{path}'", remedy="Check the path.") from None
    except OSError as error:
        raise ModelError(
            f"'{path}' cannot be read: {error.strerror}",
            remedy="Check the path and its permissions.",
        ) from None
    if not content:
        raise ModelError(
            f"'{path}' is empty",
            remedy="Export or download the model again.",
        )
    return content


def _explain(path: Path, content: bytes) -> ModelError:
    """Why bytes that protobuf refuses are no model: cut short, or never one."""
    missing = _missing_bytes(content)
    if missing is not None and missing > 0:
        return ModelError(
            f"'{path}' is truncated: it ends {missing} bytes too early",
            rule=f"It is {len(content)} bytes long, and its own lengths promise more.",
            remedy="Copy, download or export the model again.",
        )
    if missing is not None:
        return ModelError(
            f"'{path}' is a damaged ONNX file: protobuf cannot decode it",
            remedy="Copy, download or export the model again.",
        )
    return ModelError(
        f"'{path}' is not an ONNX file",
        rule=f"It starts with {content[:8]!r}, which no onnx.ModelProto does.",
        remedy="Give a model in ONNX's binary format; export other formats to ONNX first.",
    )


def _missing_bytes(content: bytes) -> int | None:
    """Bytes that the outermost message lacks: 0 if complete, None if it is no ``ModelProto``."""
    position, fields = 0, 0
    while position < len(content):
        tag, position = _varint(content, position)
        if position < 0:
            return 1 if fields else None
        field, wire = tag >> 3, tag & 7
        if _MODEL_FIELDS.get(field) != wire:
            return None
        fields += 1
        if wire == _VARINT:
            _, position = _varint(content, position)
            if position < 0:
                return 1
            continue
        length, position = _varint(content, position)
        if position < 0:
            return 1
        position += length
    return position - len(content)


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A base-128 number and the position after it, which is -1 if the bytes end inside it."""
    result, shift = 0, 0
    while position < len(content) and shift < 70:
        byte = content[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
    return result, -1
