"""Rules by which the guard refuses a node: what TVM's importer lacks, or gets wrong without a word.

Each rule answers with the reason, or None for "fine". What was found by running TVM 0.27 against
onnxruntime is tested in ``tests/compiler/onnx_passes/test_importer.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    attribute_ints,
    attribute_string,
    constant_array,
    is_used,
    static_shape,
)
from edgewright.compiler.onnx_passes.rewrite_gru import decline_gru
from edgewright.compiler.onnx_passes.rewrite_lstm import decline_lstm
from edgewright.compiler.onnx_passes.rewrite_rnn import decline_rnn
from edgewright.compiler.onnx_passes.select_branch import BRANCHES_KEY, decline_if
from edgewright.compiler.onnx_passes.unroll_loop import decline_loop
from edgewright.compiler.onnx_passes.unroll_scan import decline_scan

__all__ = ["RULES", "misfit_parameter"]

Rule = Callable[[ir.Node], str | None]


def _only_first_output(node: ir.Node) -> str | None:
    for value in node.outputs[1:]:
        if is_used(value):
            return f"its output '{value.name}' is read, and only the first is computed"
    return None


def _is_float(value: ir.Value | None) -> bool:
    return value is not None and value.dtype is not None and value.dtype.is_floating_point()


def _float32_only(node: ir.Node) -> str | None:
    if node.inputs[0] is not None and node.inputs[0].dtype != ir.DataType.FLOAT:
        return f"its input is {node.inputs[0].dtype}, and only FLOAT is supported"
    return None


def _batch_normalization(node: ir.Node) -> str | None:
    if attribute_int(node, "training_mode", 0) or len(node.outputs) > 1:
        return "it is in training mode (training_mode=1): export the model for inference"
    return (
        "its parameters are computed and of several types, or its input has fewer than 2 dimensions"
    )


def _dropout(node: ir.Node) -> str | None:
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        return "it is in training mode: export the model for inference"
    return "its mask is read, which is not computed for inference"


def _conv(node: ir.Node) -> str | None:
    shape = static_shape(node.inputs[0])
    if shape is not None and not 3 <= len(shape) <= 5:
        return f"its input has {len(shape)} dimensions, and 3 to 5 are supported"
    return None


def _conv_transpose(node: ir.Node) -> str | None:
    if "output_shape" in node.attributes:
        return "its output_shape could not be turned into padding"
    strides = attribute_ints(node, "strides", [1] * 8)
    for extra, stride in zip(attribute_ints(node, "output_padding", ()), strides, strict=False):
        if extra >= stride:
            return f"its output_padding {extra} is not smaller than its stride {stride}"
    return _conv(node)


def _pool(node: ir.Node) -> str | None:
    if attribute_string(node, "auto_pad", "NOTSET") != "NOTSET":
        return "its auto_pad could not be turned into padding"
    return _only_first_output(node) or _conv(node)


def _lp_pool(node: ir.Node) -> str | None:
    if attribute_int(node, "ceil_mode", 0):
        return "ceil_mode=1 is computed wrongly"
    return _pool(node)


def _resize(node: ir.Node) -> str | None:
    shape, result = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if shape is None or result is None:
        return None
    if not 3 <= len(shape) <= 5:
        return f"its input has {len(shape)} dimensions, and 3 to 5 are supported"
    for name in ("antialias", "axes", "keep_aspect_ratio_policy"):
        attribute = node.attributes.get(name)
        if attribute is not None and attribute.value not in (0, "stretch"):
            return f"its attribute {name} is not supported"
    mode = attribute_string(node, "coordinate_transformation_mode", "half_pixel")
    if mode == "half_pixel_symmetric":
        return "its coordinate_transformation_mode half_pixel_symmetric is not supported"
    if mode == "align_corners" and 1 in result[2:]:
        return "align_corners to an extent of 1 is not supported"
    if shape[:2] != result[:2]:
        return "it resizes the batch or the channels"
    scales = constant_array(node.inputs[2]) if len(node.inputs) > 2 else None
    if scales is None or not scales.size:
        return None
    # TVM computes with out / in where ONNX computes with the scale itself.
    exact = np.array(result) / np.array(shape)
    if not np.allclose(exact, scales, rtol=1e-6, atol=0):
        return (
            f"its scales {scales[2:].tolist()} do not make whole extents of {list(shape[2:])}: "
            "give sizes instead of scales when exporting"
        )
    return None


def _pad(node: ir.Node) -> str | None:
    pads = constant_array(node.inputs[1])
    wraps = attribute_string(node, "mode", "constant") == "wrap"
    if wraps and pads is not None and bool(np.any(np.signbit(pads.astype(np.float64)))):
        return "mode wrap with negative pads is computed wrongly"
    return None


def _reduce_mean(node: ir.Node) -> str | None:
    return None if _is_float(node.inputs[0]) else "the mean of integers is computed in another type"


def _pow(node: ir.Node) -> str | None:
    base, exponent = node.inputs[0], node.inputs[1]
    if not _is_float(base):
        return "powers of integers are not supported"
    if base is not None and exponent is not None and base.dtype != exponent.dtype:
        return f"its exponent is {exponent.dtype} and its base {base.dtype}"
    return None


def _is_inf(node: ir.Node) -> str | None:
    if attribute_int(node, "detect_negative", 1) and attribute_int(node, "detect_positive", 1):
        return None
    return "detecting only one sign is ignored by the importer"


def _roi_align(node: ir.Node) -> str | None:
    return (
        "mode max is computed wrongly" if attribute_string(node, "mode", "avg") == "max" else None
    )


def _lrn(node: ir.Node) -> str | None:
    shape = static_shape(node.inputs[0])
    if shape is not None and len(shape) not in (3, 4):
        return f"its input has {len(shape)} dimensions, and 3 or 4 are supported"
    if attribute_int(node, "size", 1) % 2 == 0:
        return "its size is even, and onnxruntime has no reference for that"
    return _float32_only(node)


def misfit_parameter(node: ir.Node) -> ir.Value | None:
    """The first parameter of a ``LayerNormalization`` of another shape than the normalized axes."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return None
    normalized = shape[attribute_int(node, "axis", -1) % len(shape) :]
    parameters = (value for value in node.inputs[1:] if value is not None)
    return next((value for value in parameters if static_shape(value) != normalized), None)


def _layer_normalization(node: ir.Node) -> str | None:
    misfit = misfit_parameter(node)
    if misfit is not None:
        return f"its parameter '{misfit.name}' has another shape than the normalized axes"
    return _only_first_output(node)


def _rms_normalization(node: ir.Node) -> str | None:
    shape = static_shape(node.inputs[0])
    if shape is not None and attribute_int(node, "axis", -1) % len(shape) != len(shape) - 1:
        return "it normalizes several axes, and only the last one is supported"
    return _float32_only(node)


def _group_normalization(node: ir.Node) -> str | None:
    if attribute_int(node, "stash_type", 1) != 1:
        return "its stash_type is not float32"
    return _float32_only(node)


def _grid_sample(node: ir.Node) -> str | None:
    shape = static_shape(node.inputs[0])
    mode = attribute_string(node, "mode", "linear")
    if shape is not None and len(shape) == 5 and mode in ("cubic", "bicubic"):
        return "cubic sampling of volumes is not supported"
    return None


def _max_unpool(node: ir.Node) -> str | None:
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        return "its input output_shape is not supported"
    return None


def _quantize(node: ir.Node) -> str | None:
    for name in ("block_size", "precision"):
        if attribute_int(node, name, 0):
            return f"its attribute {name} is not supported"
    return None


def _div(node: ir.Node) -> str | None:
    divisor = constant_array(node.inputs[1])
    if not _is_float(node.inputs[0]) and divisor is not None and not divisor.all():
        return "it divides integers by zero"
    return None


def _where(node: ir.Node) -> str | None:
    branches = node.metadata_props.get(BRANCHES_KEY)
    shapes = [static_shape(value) for value in node.inputs[1:]]
    if branches is None or shapes[0] == shapes[1]:
        return None
    return f"the ways through '{branches}' give the shapes {shapes[0]} and {shapes[1]}"


#: Rules by operator.
RULES: dict[str, Rule] = {
    "AveragePool": _pool,
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DequantizeLinear": _quantize,
    "Div": _div,
    "Dropout": _dropout,
    "Elu": _float32_only,
    "GRU": decline_gru,
    "GridSample": _grid_sample,
    "GroupNormalization": _group_normalization,
    "If": decline_if,
    "IsInf": _is_inf,
    "LRN": _lrn,
    "LSTM": decline_lstm,
    "LayerNormalization": _layer_normalization,
    "Loop": decline_loop,
    "LpPool": _lp_pool,
    "MaxPool": _pool,
    "MaxUnpool": _max_unpool,
    "MeanVarianceNormalization": _float32_only,
    "Pad": _pad,
    "Pow": _pow,
    "QuantizeLinear": _quantize,
    "RNN": decline_rnn,
    "RMSNormalization": _rms_normalization,
    "ReduceMean": _reduce_mean,
    "Resize": _resize,
    "RoiAlign": _roi_align,
    "Scan": decline_scan,
    "Selu": _float32_only,
    "ThresholdedRelu": _float32_only,
    "Where": _where,
}
