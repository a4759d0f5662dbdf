"""Writes ``Col2Im`` as a transposed convolution that only moves and adds."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_ints,
    constant_array,
    static_shape,
)
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["RewriteCol2Im"]


class RewriteCol2Im(NodeRewrite):
    """Each of a channel's rows of columns belongs to one tap of the block.

    Case 1: ``Col2Im`` over images with constant shapes: ``ConvTranspose`` with a group for each
        channel, whose weights are 1 where the input channel's tap is, and 0 elsewhere.
    """

    operators: ClassVar[tuple[str, ...]] = ("Col2Im",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        source, shape = node.inputs[0], static_shape(node.inputs[0])
        image, block = constant_array(node.inputs[1]), constant_array(node.inputs[2])
        if source is None or source.dtype is None or shape is None or image is None:
            return None
        if block is None or image.size != 2:
            return None
        extents, kernel = [int(v) for v in image], [int(v) for v in block]
        taps, attributes = math.prod(kernel), {}
        for name, default in (("strides", [1, 1]), ("dilations", [1, 1]), ("pads", [0] * 4)):
            attributes[name] = attribute_ints(node, name, default)
        strides, dilations, pads = attributes.values()
        spans = [dilation * (k - 1) + 1 for dilation, k in zip(dilations, kernel, strict=True)]
        padded = [extents[i] + pads[i] + pads[2 + i] for i in range(2)]
        counts = [(padded[i] - spans[i]) // strides[i] + 1 for i in range(2)]
        channels = shape[1] // taps
        weights = np.zeros((channels, *kernel, 1, *kernel), source.dtype.numpy())
        for row, column in np.ndindex(*kernel):
            weights[:, row, column, 0, row, column] = 1
        columns_shape = (shape[0], shape[1], *counts)
        columns = make.emit(
            "Reshape",
            source,
            make.constant("columns_shape", np.array(columns_shape, np.int64)),
            stem="columns",
            shape=columns_shape,
        )
        # Pixels behind the last block's reach get nothing.
        rest = [padded[i] - (counts[i] - 1) * strides[i] - spans[i] for i in range(2)]
        attributes["output_padding"] = rest
        options = [ir.Attr(name, ir.AttributeType.INTS, v) for name, v in attributes.items()]
        options.append(ir.Attr("group", ir.AttributeType.INT, channels))
        packed = make.constant("weights", weights.reshape(channels * taps, 1, *kernel))
        return [make.emit("ConvTranspose", columns, packed, stem="image", attributes=options)]
