"""Writes a ``Concat`` of very many tensors as several of fewer."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, attribute_int, static_shape
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["MOST_OPERANDS", "NarrowConcat"]

#: TVM writes a concatenation as nested conditions, one for each operand, and walks them by
#: recursion: 512 operands exceed Python's.
MOST_OPERANDS = 32


class NarrowConcat(NodeRewrite):
    """Concatenates neighbours first.

    Case 1: a ``Concat`` of more than ``MOST_OPERANDS`` tensors of known shapes: groups of as many
        are concatenated, then their results, until few are left.
    """

    operators: ClassVar[tuple[str, ...]] = ("Concat",)

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        parts = [value for value in node.inputs if value is not None]
        shape = static_shape(node.outputs[0])
        if len(parts) <= MOST_OPERANDS or shape is None:
            return None
        axis = attribute_int(node, "axis", 0) % len(shape)
        sizes = [(static_shape(value) or shape)[axis] for value in parts]
        attributes = [ir.Attr("axis", ir.AttributeType.INT, axis)]
        level = 0
        while len(parts) > 1:
            joined, extents = [], []
            for start in range(0, len(parts), MOST_OPERANDS):
                group = parts[start : start + MOST_OPERANDS]
                extents.append(sum(sizes[start : start + MOST_OPERANDS]))
                part_shape = (*shape[:axis], extents[-1], *shape[axis + 1 :])
                stem = f"level{level}/{start}"
                joined.append(
                    make.emit("Concat", *group, stem=stem, shape=part_shape, attributes=attributes)
                )
            parts, sizes, level = joined, extents, level + 1
        return parts
