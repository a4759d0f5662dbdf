"""What rewrites of single nodes have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite, is_onnx

__all__ = ["NodeRewrite", "Results"]

#: What replaces a node's outputs, in order; None for outputs that nobody reads.
Results = Sequence[ir.Value | None]


class NodeRewrite(ir.passes.InPlacePass):
    """Replaces nodes of some operators, one by one, by nodes of others.

    Attributes:
        operators: the operators that it looks at.
    """

    operators: ClassVar[tuple[str, ...]]

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            if not is_onnx(node, *self.operators):
                continue
            make = Rewrite(model.graph, node)
            results = self.rewrite(node, make)
            if results is not None:
                unread = [None] * (len(node.outputs) - len(results))
                make.finish_outputs([*results, *unread])
                modified = True
        return ir.passes.PassResult(model, modified)

    @abstractmethod
    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """Emit what replaces a node.

        Args:
            node: its operator is one of :attr:`operators`.
            make: collects the new nodes.

        Returns:
            What replaces the outputs, each emitted; None to leave the node as it is.
        """
