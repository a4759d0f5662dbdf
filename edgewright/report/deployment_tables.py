"""Deployments and benchmarks of boards as tables for a terminal; nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from edgewright.report.tables import format_bytes, plain_table

if TYPE_CHECKING:
    from edgewright.deploy.benchmark import Benchmark
    from edgewright.deploy.compare_benchmarks import Comparison
    from edgewright.deploy.deploy import Deployment
    from edgewright.deploy.preflight.checks import Check

__all__ = [
    "check_table",
    "comparison_tables",
    "format_deployment",
    "ncnn_lines",
    "state_table",
]


def check_table(checks: Sequence[Check]) -> Table:
    """What a bundle asks for, and what the board has."""
    table = plain_table("Board", "what", "needed", "there", "")
    for check in checks:
        table.add_row(check.what, check.needs, check.has, check.note)
    return table


def format_deployment(deployment: Deployment) -> str:
    """What was copied, and where to."""
    kept = f", {deployment.kept_files} were there already" if deployment.kept_files else ""
    proof = f"; selftest: {deployment.selftest}" if deployment.selftest else ""
    return (
        f"Sent {deployment.sent_files} files ({format_bytes(deployment.sent_bytes)}){kept}{proof}\n"
        f"{deployment.machine}{deployment.place}"
    )


def state_table(benchmark: Benchmark) -> Table:
    """The machine before, during and after: the first, the slowest and the last of its states."""
    table = plain_table(
        "Machine", "when", "clocks MHz", "hottest C", "load", "throttled", right=frozenset({2, 3})
    )
    states = list(benchmark.states)
    during = [state for state in states if state.when == "during" and state.clocks_mhz]
    shown = states[:1] + sorted(during, key=lambda state: max(state.clocks_mhz))[:1] + states[-1:]
    for state in shown:
        table.add_row(
            state.when,
            " ".join(f"{clock:.0f}" for clock in state.clocks_mhz) or "unknown",
            f"{state.temperature_c:.1f}" if state.temperature_c is not None else "unknown",
            f"{state.load:.2f}" if state.load is not None else "unknown",
            ", ".join(state.throttled) or "no",
        )
    return table


def ncnn_lines(benchmark: Benchmark) -> list[str]:
    """A line for each timing in the form of ncnn's ``benchncnn``, in milliseconds."""
    return [
        f"{benchmark.model:>20}  min = {timing.min_ms:7.2f}  max = {timing.max_ms:7.2f}  "
        f"avg = {timing.mean_ms:7.2f}"
        for timing in benchmark.timings
        if timing.engine == "edgewright"
    ]


def comparison_tables(comparison: Comparison) -> list[Table]:
    """What changed, contender by contender, then layer by layer."""
    table = plain_table(
        "Change",
        "engine",
        "threads",
        "before ms",
        "after ms",
        "ratio",
        "noise",
        "verdict",
        right=frozenset(range(1, 6)),
    )
    styles = {"faster": "green", "slower": "red", "same": None}
    for row in comparison.changes:
        table.add_row(
            row.engine,
            str(row.threads) + (f" on {row.cpus}" if row.cpus else ""),
            f"{row.before_ms:.3f}",
            f"{row.after_ms:.3f}",
            f"{row.ratio:.3f}",
            f"{row.noise:.1%}",
            row.verdict,
            style=styles[row.verdict],
        )
    if not comparison.layers:
        return [table]
    layers = plain_table(
        "Layers that changed by more than a tenth",
        "layer",
        "before us",
        "after us",
        "kernel",
        right=frozenset({1, 2}),
    )
    for layer in comparison.layers:
        kernel = layer.after_kernel
        if layer.before_kernel != kernel:
            kernel = f"{layer.before_kernel} -> {kernel}"
        layers.add_row(layer.name, f"{layer.before_us:.1f}", f"{layer.after_us:.1f}", kernel)
    return [table, layers]
