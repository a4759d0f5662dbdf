"""Executed instructions as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from edgewright.report.tables import plain_table

if TYPE_CHECKING:
    from edgewright.deploy.counting.cost import Cost
    from edgewright.deploy.counting.counts import Counts

__all__ = ["cost_table", "layer_cost_table"]

_LABELS = {
    "simd_mac": "SIMD multiply-accumulate",
    "simd_load": "SIMD load",
    "simd_store": "SIMD store",
    "simd_other": "SIMD, other",
    "float_mac": "scalar multiply-accumulate",
    "float_other": "scalar float, other",
    "scalar_load": "scalar load",
    "scalar_store": "scalar store",
    "scalar_other": "scalar",
    "branch": "branch",
    "prefetch": "prefetch",
    "unknown": "unknown",
}


def cost_table(cost: Cost) -> Table:
    """Instructions of one inference by class; classes that do not occur are left out."""
    table = plain_table(
        f"Executed instructions of one inference, {cost.cpu}",
        "class",
        "millions",
        "share",
        right=frozenset({1, 2}),
    )
    table.caption = "Emulated, one thread. Instructions are not a latency."
    table.caption_justify = "left"
    counts = cost.counts
    for name, label in _LABELS.items():
        value = getattr(counts, name)
        if value:
            table.add_row(label, f"{value / 1e6:.3f}", f"{value / counts.total:.1%}")
    table.add_row("total", f"{counts.total / 1e6:.3f}", "", style="bold")
    table.add_row("total / multiply-accumulate instructions", _ratio(counts.per_mac), "")
    done = f"{counts.mac_lanes / 1e6:.3f}"
    table.add_row("multiply-accumulates done, by lanes", done, "")
    table.add_row("multiply-accumulates of the model", f"{cost.macs / 1e6:.3f}", "")
    table.add_row("MB loaded", f"{counts.bytes_loaded / 1e6:.3f}", "")
    table.add_row("MB stored", f"{counts.bytes_stored / 1e6:.3f}", "")
    return table


def layer_cost_table(cost: Cost) -> Table:
    """Instructions of each layer in the order they run, in thousands."""
    table = plain_table(
        "Layers, in thousands of instructions",
        "layer",
        "kernel",
        "total",
        "share",
        "MAC",
        "for each MAC",
        "load",
        "store",
        "other SIMD",
        "scalar",
        right=frozenset(range(2, 10)),
    )
    whole = sum(layer.counts.total for layer in cost.layers) + cost.outside_layers.total
    for layer in cost.layers:
        table.add_row(layer.name, layer.kernel, *_cells(layer.counts, whole))
    table.add_row("after the last layer", "", *_cells(cost.outside_layers, whole))
    return table


def _cells(counts: Counts, whole: int) -> tuple[str, ...]:
    loads = counts.simd_load + counts.scalar_load
    stores = counts.simd_store + counts.scalar_store
    rest = counts.total - counts.macs - loads - stores - counts.simd_other
    return (
        f"{counts.total / 1e3:.1f}",
        f"{counts.total / whole:.1%}",
        f"{counts.macs / 1e3:.1f}" if counts.macs else "",
        _ratio(counts.per_mac),
        *(f"{value / 1e3:.1f}" for value in (loads, stores, counts.simd_other, rest)),
    )


def _ratio(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else ""
