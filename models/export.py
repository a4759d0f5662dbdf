"""PyTorch networks written as ONNX files.

The files are what other exporters write too, with nothing done to them in advance: batch norms are
still ``BatchNormalization`` nodes, so that Edgewright's own folding has its work. They name no file
and no version of the machine they were written on, and the same network gives the same bytes.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from edgewright.models.registry import build, find_model, require_torch
from edgewright.spec.errors import OutputError, UnsupportedModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import Tensor, nn

__all__ = ["OPSET", "export", "export_module"]

#: ONNX operator set of the files.
OPSET = 18
#: A protobuf message, and with it an ONNX file without external data, ends at 2 GiB.
MAX_FILE_BYTES = 2**31 - 1

#: Numbers of fields in onnx.proto: of ModelProto, GraphProto, and TensorProto's last that we write.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9


def export(name: str, path: str | os.PathLike[str], seed: int = 0, batch: int = 1) -> None:
    """Write a reference network or layer with seeded weights as one ONNX file.

    Inputs and outputs are the registry's, of images ``input`` and ``logits``, with ``batch`` in
    front of the inputs' shapes. An existing file is replaced, and only by a whole one.

    Args:
        name: a name of :func:`edgewright.models.registry.list_models`.
        path: the file to write, in a directory that exists.
        seed: what the weights follow from; not negative.
        batch: inputs that one inference takes.

    Raises:
        UsageError: no such network, a negative seed, or a batch below 1.
        OutputError: the file cannot be written there.
        ToolError: the extra ``models`` is not installed.
    """
    entry = find_model(name)
    if batch < 1:
        raise UsageError(
            f"the batch is {batch}",
            rule="A batch holds at least one input.",
            remedy="Leave it out for a batch of 1.",
        )
    require_torch("exporting a reference network")
    import torch

    # Opening the file first finds an unusable path before the minutes, not after.
    with _replacing(Path(path)) as stream:
        network = build(name, seed)
        examples = tuple(
            torch.full((batch, *value.shape[1:]), value.low, dtype=getattr(torch, value.dtype))
            for value in entry.inputs
        )
        names = tuple(value.name for value in entry.inputs)
        _write(*_trace(network, examples, names, entry.outputs, name), stream)


def export_module(
    module: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    path: str | os.PathLike[str],
    *,
    input_names: Sequence[str] = ("input",),
    output_names: Sequence[str] = ("logits",),
    name: str = "main_graph",
) -> None:
    """Write any PyTorch module as one ONNX file, in eval mode and for the example's shapes only.

    Args:
        module: the network; its training mode is put back.
        example: its input, or inputs in order; only shapes and dtypes matter.
        path: the file to write, in a directory that exists.
        input_names: a name for each input.
        output_names: a name for each output.
        name: the graph's name in the file.

    Raises:
        OutputError: the file cannot be written there.
        UnsupportedModelError: the weights do not fit one ONNX file.
        ToolError: the extra ``models`` is not installed.
    """
    require_torch("exporting a PyTorch module")
    with _replacing(Path(path)) as stream:
        _write(*_trace(module, example, input_names, output_names, name), stream)


def _trace(
    module: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    name: str,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The module as ONNX without its weights, by PyTorch's TorchScript exporter; and the weights.

    That exporter, and not the newer ``dynamo=True``: it keeps one node for each layer with no
    decomposition and no optimiser behind it, drops no epsilon, and is ten times faster. It leaves
    the weights out, and :func:`_write` puts them in, which saves six copies of them.
    """
    import onnx
    import torch

    inputs = example if isinstance(example, tuple) else (example,)
    state = {key: tensor.detach() for key, tensor in module.state_dict().items()}
    _check_size(state)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A warning that the network is traced wrongly is shown, but not those of the exporter's own
        # age, of what it does not fold, of instance norms, which take an input's statistics in
        # inference too, and that PyTorch's layers check extents, which are fixed here.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Constant folding")
        warnings.filterwarnings("ignore", message=".*operator 'instance_norm' is set to train=True")
        checked = "Converting a tensor to a Python boolean"
        warnings.filterwarnings("ignore", message=checked, module=r"torch\.nn\.")
        torch.onnx.export(
            module,
            inputs,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            export_params=False,
            do_constant_folding=False,
            input_names=[*input_names],
            output_names=[*output_names],
            opset_version=OPSET,
        )
    model: onnx.ModelProto = onnx.ModelProto.FromString(buffer.getvalue())
    onnx.checker.check_model(model)
    weights = [value.name for value in model.graph.input if value.name not in input_names]
    kept = [value for value in model.graph.input if value.name in input_names]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    _forget_machine(model, name)
    return model, {weight: state[weight].cpu().numpy() for weight in weights}


def _check_size(state: dict[str, Tensor]) -> None:
    total_bytes = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total_bytes > MAX_FILE_BYTES:
        raise UnsupportedModelError(
            f"the weights take {total_bytes} bytes",
            rule=f"One ONNX file holds at most {MAX_FILE_BYTES} bytes.",
            remedy="Export the network in parts.",
        )


def _forget_machine(model: onnx.ModelProto, name: str) -> None:
    """Remove what names source files, versions or times: equal networks give equal bytes."""
    model.producer_name = "edgewright"
    for field in ("producer_version", "doc_string", "metadata_props"):
        model.ClearField(field)
    graph = model.graph
    graph.name = name
    graph.ClearField("doc_string")
    for item in (*graph.node, *graph.value_info, *graph.input, *graph.output):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _write(model: onnx.ModelProto, weights: Mapping[str, np.ndarray], stream: BinaryIO) -> None:
    """Write the model with its weights as initializers.

    The bytes are those of ``SerializeToString(deterministic=True)``, but the weights, nearly all of
    them, go from where PyTorch has them into the file: building the message and serialising it
    would copy them twice, which for VGG-16 takes longer than the disk.
    """
    model_head, model_tail = _split(model, _GRAPH)
    graph_head, graph_tail = _split(model.graph, _INITIALIZER)
    parts: list[Any] = [graph_head]  # bytes, and arrays of bytes
    for name, values in weights.items():
        raw = values.reshape(-1).view("uint8")
        head = _tensor_head(name, values) + _key(_RAW_DATA) + _varint(raw.size)
        parts += [_key(_INITIALIZER) + _varint(len(head) + raw.size) + head, raw]
    parts.append(graph_tail)
    stream.write(model_head + _key(_GRAPH) + _varint(sum(map(len, parts))))
    for part in parts:
        stream.write(part)
    stream.write(model_tail)


def _split(message: Any, number: int) -> tuple[bytes, bytes]:
    """The message's fields before and after the one of that number; itself left out."""
    before, after = type(message)(), type(message)()
    for part, others in ((before, range(number, 1 << 29)), (after, range(number + 1))):
        part.CopyFrom(message)
        for field, _ in message.ListFields():
            if field.number in others:
                part.ClearField(field.name)
    return tuple(part.SerializeToString(deterministic=True) for part in (before, after))


def _tensor_head(name: str, values: np.ndarray) -> bytes:
    from onnx import TensorProto, helper

    data_type = helper.np_dtype_to_tensor_dtype(values.dtype)
    head: bytes = TensorProto(name=name, dims=values.shape, data_type=data_type).SerializeToString()
    return head


def _key(number: int) -> bytes:
    """What precedes a field of bytes or of a message (protobuf.dev, "Encoding")."""
    return _varint(number << 3 | 2)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside ``path`` that takes its place once written; nothing is left on failure.

    Raises:
        OutputError: the file cannot be created, written or renamed.
    """
    if path.is_dir():
        raise _output_error(path, "it is a directory", "Name a file.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("xb") as stream:
                yield stream
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if not path.parent.is_dir():
            raise _output_error(
                path, f"'{path.parent}' is not a directory", "Create it first."
            ) from None
        raise _output_error(
            path,
            error.strerror or str(error),
            "Name a directory that you may write to and that has room.",
        ) from error


def _output_error(path: Path, reason: str, remedy: str) -> OutputError:
    return OutputError(
        f"the file '{path}' cannot be written: {reason}",
        rule="An export is written beside its place and then renamed.",
        remedy=remedy,
    )
