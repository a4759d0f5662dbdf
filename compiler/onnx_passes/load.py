"""From an ``.onnx`` file to a model whose inputs have static shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass, RemoveInitializersFromInputsPass

from edgewright.compiler.onnx_passes.bind_symbolic_dimensions import (
    MAX_ELEMS,
    BindSymbolicDimensions,
)
from edgewright.compiler.onnx_passes.check_external_data import check_external_data
from edgewright.compiler.onnx_passes.check_operators import check_operators
from edgewright.compiler.onnx_passes.read_model_file import read_model_file
from edgewright.spec.errors import ModelError, UnsupportedModelError

__all__ = ["load_model"]


def load_model(
    path: str | Path, input_shapes: Mapping[str, Sequence[int]] | None = None
) -> ir.Model:
    """Read, check and bind a model.

    External data must lie inside the folder of the ``.onnx`` file. Initializers that are listed as
    inputs too (the rule before IR version 4) are weights, not inputs. Functions that the model
    defines are inlined.

    Args:
        path: the ``.onnx`` file.
        input_shapes: extents of inputs whose dimensions the model leaves open, by input name.

    Returns:
        The model; every input has a static shape, every weight is in memory.

    Raises:
        ModelError: the file is no ONNX model, the model is broken, or ``input_shapes`` do not fit
        it.
        UnsupportedModelError: the model uses operators of another domain.
    """
    file = Path(path)
    proto = read_model_file(file)
    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"'{file}' has ONNX IR version {proto.ir_version}, which is newer than those supported",
            rule=f"IR versions up to {onnx.IR_VERSION} are supported.",
            remedy="Update Edgewright, or export the model with an older version of onnx.",
        )
    check_operators(proto)
    if not proto.graph.output:
        raise ModelError(
            f"'{file}' has no outputs",
            rule="A model must compute something.",
            remedy="Export the model again with at least one output.",
        )
    check_external_data(proto, file.parent)
    _check_extents(proto)
    _check_onnx(file)
    model = _to_ir(proto, file)
    RemoveInitializersFromInputsPass()(model)
    # Weights that are not inputs exist since version 4.
    model.ir_version = max(model.ir_version, 4)
    BindSymbolicDimensions(input_shapes)(model)
    return model


def _check_onnx(file: Path) -> None:
    """ONNX's own checker, by path: it then finds external data and has no limit on its size."""
    try:
        onnx.checker.check_model(str(file))
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"'{file}' is not a valid ONNX model: {reason}",
            remedy="Export the model again, or correct the part that is named.",
        ) from None


def _check_extents(proto: onnx.ModelProto) -> None:
    """Refuse weights without elements where that cannot be meant, and those too large to count."""
    if proto.graph.sparse_initializer:
        name = proto.graph.sparse_initializer[0].values.name
        raise UnsupportedModelError(
            f"the weight '{name}' is stored as a sparse tensor",
            remedy="Export the model with dense weights.",
        )
    for node in proto.graph.node:
        if any(item.type == onnx.AttributeProto.SPARSE_TENSOR for item in node.attribute):
            raise UnsupportedModelError(
                f"the node '{node.name}' holds a sparse tensor",
                remedy="Export the model with dense weights.",
            )
    for tensor in proto.graph.initializer:
        dims = list(tensor.dims)
        if any(extent < 0 for extent in dims):
            raise ModelError(
                f"the weight '{tensor.name}' has the shape {'x'.join(map(str, dims))}",
                rule="No extent may be negative.",
                remedy="Export the model again.",
            )
        if math.prod(dims) > MAX_ELEMS:
            raise ModelError(
                f"the weight '{tensor.name}' has the shape {'x'.join(map(str, dims))}, which is "
                f"{math.prod(dims)} elements",
                rule=f"A tensor may have at most {MAX_ELEMS} elements.",
                remedy="Split the layer, or use a smaller model.",
            )


def _to_ir(proto: onnx.ModelProto, file: Path) -> ir.Model:
    for item in proto.opset_import:
        # Another spelling of ONNX's own domain; onnx_ir already reads it so in nodes.
        item.domain = "" if item.domain == "ai.onnx" else item.domain
    try:
        model = ir.from_proto(proto)
        ir.external_data.set_base_dir(model.graph, file.parent)
        ir.external_data.load_to_model(model)
        if model.functions:
            InlinePass()(model)
    except (ValueError, TypeError, KeyError, RuntimeError, ir.passes.InvariantError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"'{file}' is an inconsistent ONNX model: {reason}",
            remedy="Export the model again.",
        ) from None
    return model
