"""A model's arithmetic on paper as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from edgewright.report.tables import format_bytes, plain_table

if TYPE_CHECKING:
    from edgewright.compiler.analysis import ModelAnalysis, NodeAnalysis
    from edgewright.compiler.arithmetic import SeparableConvolution

__all__ = ["arithmetic_table"]

_CAPTION = (
    "FLOP/byte: two for each multiply-accumulate, over the bytes of inputs, weights and outputs.\n"
    "separable: a depthwise convolution and this 1x1 one, for one standard convolution."
)


def arithmetic_table(analysis: ModelAnalysis) -> Table:
    """Every node in graph order; cells of what a node has not are empty."""
    table = plain_table(
        "Layers",
        "layer",
        "operator",
        "output",
        "MMACs",
        "parameters",
        "activation",
        "FLOP/byte",
        "fewer MACs than standard",
        right=frozenset({3, 4, 5, 6}),
    )
    table.caption = _CAPTION
    table.caption_justify = "left"
    pairs = {pair.pointwise: pair for pair in analysis.separable}
    for node in analysis.nodes:
        table.add_row(
            node.name,
            node.op,
            " ".join("x".join(map(str, s)) if s is not None else "?" for s in node.outputs),
            f"{node.macs / 1e6:.3f}" if node.macs else "",
            f"{node.parameters:,}" if node.parameters else "",
            format_bytes(node.activation_bytes),
            f"{node.intensity:.2f}" if node.macs else "",
            _saving(node, pairs.get(node.name)),
        )
    return table


def _saving(node: NodeAnalysis, pair: SeparableConvolution | None) -> str:
    """What the node's groups save, and what the pair saves that it is the second half of."""
    parts = []
    if node.groups > 1:
        depthwise = node.inputs[0] is not None and node.inputs[0][1] == node.groups
        form = "depthwise" if depthwise else f"{node.groups} groups"
        parts.append(f"{form}: {node.reduction:.0f} times")
    if pair is not None:
        parts.append(f"separable: {pair.reduction:.2f} times")
    return "; ".join(parts)
