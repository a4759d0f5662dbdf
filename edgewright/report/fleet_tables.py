"""A fleet's benchmark for a terminal; nothing is computed here but ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from edgewright.report.tables import format_bytes, plain_table

if TYPE_CHECKING:
    from edgewright.deploy.fleet.fleet_result import FleetResult, LostBoard

__all__ = ["fleet_table", "lost_line"]


def fleet_table(result: FleetResult) -> Table:
    """A row for each board, model and number of threads; the last column compares medians.

    The first board is the one that all are compared with: 2.00x takes twice as long.
    """
    first = result.results[0].board if result.results else ""
    models = {row.benchmark.model for row in result.results}
    table = plain_table(
        "Fleet" if len(models) != 1 else f"Fleet: {models.pop()}",
        "board",
        "target",
        *(["model"] if models else []),
        "threads",
        "median ms",
        "p90 ms",
        "first run ms",
        "memory",
        f"to {first}",
        "marks",
        right=frozenset(range(3, 9)) if models else frozenset(range(2, 8)),
    )
    for row in result.results:
        for timing in row.benchmark.timings:
            reference = result.reference(row, timing)
            table.add_row(
                row.board,
                row.target,
                *([row.benchmark.model] if models else []),
                str(timing.threads) + (f" on {timing.cpus}" if timing.cpus else ""),
                f"{timing.median_ms:.3f}",
                f"{timing.p90_ms:.3f}",
                "" if timing.first_run_ms is None else f"{timing.first_run_ms:.3f}",
                "" if timing.peak_memory_bytes is None else format_bytes(timing.peak_memory_bytes),
                "" if reference is None else f"{timing.median_ms / reference.median_ms:.2f}x",
                ", ".join(timing.marks),
            )
    return table


def lost_line(lost: LostBoard) -> str:
    """The board, and why it has no result."""
    model = f" ({lost.model})" if lost.model else ""
    return f"Lost {lost.board}{model}: {lost.reason}"
