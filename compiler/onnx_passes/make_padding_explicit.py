"""Writes the padding that ``auto_pad`` and ``output_shape`` stand for as numbers."""

from __future__ import annotations

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_ints,
    attribute_string,
    is_onnx,
    static_shape,
)

__all__ = ["MakePaddingExplicit"]


class MakePaddingExplicit(ir.passes.InPlacePass):
    """Replaces rules of padding by pads; formulas of ONNX's Operators.md.

    Case 1: ``Conv``, ``MaxPool``, ``AveragePool``, ``LpPool`` with ``auto_pad`` SAME_UPPER or
        SAME_LOWER: out = ceil(in / stride), pads = max((out - 1) * stride + (kernel - 1) * dilation
        + 1 - in, 0); the odd one comes last or first.
    Case 2: the same operators with VALID: no pads.
    Case 3: ``ConvTranspose`` with ``auto_pad`` or ``output_shape``: pads = stride * (in - 1) +
        output_padding + (kernel - 1) * dilation + 1 - out; what is negative becomes
        ``output_padding``.

    TVM's importer pads SAME_LOWER pools wrongly and ignores ``output_shape``.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite attributes of nodes of static shape in the main graph."""
        modified = False
        for node in model.graph:
            if is_onnx(node, "Conv", "MaxPool", "AveragePool", "LpPool"):
                modified |= _pad_forward(node)
            elif is_onnx(node, "ConvTranspose"):
                modified |= _pad_transposed(node)
        return ir.passes.PassResult(model, modified)


def _set_ints(node: ir.Node, name: str, items: list[int]) -> None:
    node.attributes[name] = ir.Attr(name, ir.AttributeType.INTS, items)


def _kernel(node: ir.Node) -> list[int] | None:
    if "kernel_shape" in node.attributes:
        return attribute_ints(node, "kernel_shape", ())
    weight = static_shape(node.inputs[1]) if len(node.inputs) > 1 else None
    return None if weight is None else list(weight[2:])


def _split(total: int, *, upper: bool) -> tuple[int, int]:
    """Total padding as (before, after)."""
    smaller = total // 2
    return (smaller, total - smaller) if upper else (total - smaller, smaller)


def _pad_forward(node: ir.Node) -> bool:
    rule = attribute_string(node, "auto_pad", "NOTSET")
    shape, kernel = static_shape(node.inputs[0]), _kernel(node)
    if "auto_pad" not in node.attributes or shape is None or kernel is None:
        return False
    if rule != "NOTSET":
        extents = shape[2:]
        ones = [1] * len(extents)
        strides = attribute_ints(node, "strides", ones)
        dilations = attribute_ints(node, "dilations", ones)
        before, after = [0] * len(extents), [0] * len(extents)
        if rule != "VALID":
            for axis, (extent, stride) in enumerate(zip(extents, strides, strict=True)):
                reach = (kernel[axis] - 1) * dilations[axis] + 1
                out = -(-extent // stride)
                total = max((out - 1) * stride + reach - extent, 0)
                before[axis], after[axis] = _split(total, upper=rule == "SAME_UPPER")
            # The output of SAME is rounded up already; rounding again could add a row.
            node.attributes.pop("ceil_mode", None)
        _set_ints(node, "pads", before + after)
    del node.attributes["auto_pad"]
    return True


def _pad_transposed(node: ir.Node) -> bool:
    rule = attribute_string(node, "auto_pad", "NOTSET")
    shape, kernel = static_shape(node.inputs[0]), _kernel(node)
    if shape is None or kernel is None:
        return False
    if "auto_pad" not in node.attributes and "output_shape" not in node.attributes:
        return False
    extents = shape[2:]
    ones, zeros = [1] * len(extents), [0] * len(extents)
    strides = attribute_ints(node, "strides", ones)
    dilations = attribute_ints(node, "dilations", ones)
    extra = attribute_ints(node, "output_padding", zeros)
    wanted = attribute_ints(node, "output_shape", ())[-len(extents) :]
    if not wanted and rule.startswith("SAME"):
        wanted = [extent * stride for extent, stride in zip(extents, strides, strict=True)]
    if wanted:
        before, after = list(zeros), list(zeros)
        for axis, extent in enumerate(extents):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = strides[axis] * (extent - 1) + extra[axis] + reach - wanted[axis]
            extra[axis] += max(-total, 0)
            before[axis], after[axis] = _split(max(total, 0), upper=rule == "SAME_UPPER")
        _set_ints(node, "pads", before + after)
        if any(extra):
            _set_ints(node, "output_padding", extra)
    elif rule == "VALID":
        _set_ints(node, "pads", zeros + zeros)
    for name in ("auto_pad", "output_shape"):
        node.attributes.pop(name, None)
    return True
