"""Refuses external data that is missing, too short, or outside the model's folder."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx_ir as ir

from edgewright.spec.errors import ModelError

__all__ = ["check_external_data", "external_tensors"]


def external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the model, wherever it stands, whose numbers are in another file."""
    for tensor in _graph_tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield tensor
    for function in model.functions:
        for node in function.node:
            for tensor in _node_tensors(node):
                if tensor.data_location == onnx.TensorProto.EXTERNAL:
                    yield tensor


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("g"):
            yield from _graph_tensors(attribute.g)
        for graph in attribute.graphs:
            yield from _graph_tensors(graph)


def check_external_data(model: onnx.ModelProto, folder: Path) -> None:
    """Check where the model's external data lies and that all of it is there.

    Args:
        model: the model as read.
        folder: the folder of its ``.onnx`` file.

    Raises:
        ModelError: a file is missing, too short, absolute, or outside the folder (by ``..`` or by a
            symbolic link); an offset or a length is no number or does not fit the tensor.
    """
    root = folder.resolve()
    for tensor in external_tensors(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        file = _file_inside(tensor.name, entries.get("location", ""), folder, root)
        offset = _number(tensor.name, "offset", entries.get("offset", "0"))
        needed = _tensor_bytes(tensor)
        stated = entries.get("length")
        if stated is not None:
            length = _number(tensor.name, "length", stated)
            if length != needed:
                raise ModelError(
                    f"tensor '{tensor.name}' takes {needed} bytes, but its external data "
                    f"says {length}",
                    rule="The length must follow from the tensor's type and shape.",
                    remedy="Export the model again.",
                )
        size = file.stat().st_size
        if offset + needed > size:
            raise ModelError(
                f"the external data file '{file.name}' is too short: tensor '{tensor.name}' needs "
                f"bytes {offset} to {offset + needed}, and the file has {size}",
                remedy="Copy or export the file again; it belongs to this very model.",
            )


def _file_inside(tensor: str, location: str, folder: Path, root: Path) -> Path:
    if not location:
        raise ModelError(
            f"tensor '{tensor}' has external data without a location",
            remedy="Export the model again.",
        )
    windows = PureWindowsPath(location)
    if PurePosixPath(location).is_absolute() or windows.is_absolute() or windows.drive:
        raise _outside(tensor, location, "is an absolute path")
    file = folder / location
    normal = os.path.normpath(location)
    if normal == ".." or normal.startswith("../"):
        raise _outside(tensor, location, "leaves the model's folder")
    resolved = Path(os.path.realpath(file))
    if not resolved.is_relative_to(root):
        raise _outside(tensor, location, "leaves the model's folder through a symbolic link")
    if not resolved.is_file():
        raise ModelError(
            f"the external data file '{location}' of tensor '{tensor}' is missing",
            rule=f"It is looked for in '{folder}'.",
            remedy="Copy it there beside the .onnx file.",
        )
    return resolved


def _outside(tensor: str, location: str, how: str) -> ModelError:
    return ModelError(
        f"the external data '{location}' of tensor '{tensor}' {how}",
        rule="A model may only read files inside its own folder.",
        remedy="Copy the data beside the .onnx file and export or edit the location to match.",
    )


def _number(tensor: str, key: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ModelError(
            f"tensor '{tensor}' has the external data {key} {text!r}",
            rule="It must be a whole number of bytes.",
            remedy="Export the model again.",
        )
    return int(text)


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Bytes of the tensor's raw data; types of less than a byte are packed."""
    try:
        bits = int(8 * ir.DataType(tensor.data_type).itemsize)
    except (ValueError, TypeError):
        raise ModelError(
            f"tensor '{tensor.name}' has external data of the element type {tensor.data_type}",
            rule="Only numbers of a known type can be external.",
            remedy="Export the model again with a current exporter.",
        ) from None
    elems = math.prod(int(extent) for extent in tensor.dims)
    return (elems * bits + 7) // 8
