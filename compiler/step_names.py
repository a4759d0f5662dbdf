"""Which of the user's ONNX nodes a step of the program computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

__all__ = ["fused_nodes", "original_names"]


def fused_nodes(module: Any, nodes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The ONNX nodes inside each function that FuseOps made.

    FuseOps shares one function among equal groups, and keeps the names of the first: they are
    given for functions that are called once only.

    Args:
        module: what FuseOps gave.
        nodes: ONNX node of each variable, by name.
    """
    from tvm import relax

    calls = Counter(
        binding.value.op.name_hint
        for block in module["main"].body.blocks
        for binding in block.bindings
        if hasattr(getattr(binding.value, "op", None), "name_hint")
    )
    found = {}
    for name, func in module.functions.items():
        if isinstance(func, relax.Function) and calls[name.name_hint] == 1:
            inner = [b.var.name for block in func.body.blocks for b in block.bindings]
            found[name.name_hint] = tuple(nodes[n] for n in inner if n in nodes)
    return found


def original_names(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """For each prepared node that passes made of others, the user's nodes it stands for."""
    from edgewright.compiler.onnx_passes.graph_edits import NODES_KEY

    return {
        node.name: tuple(entry.value.split("\n"))
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == NODES_KEY
    }
