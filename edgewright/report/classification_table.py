"""How a bundle does on labelled samples, as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from edgewright.report.tables import plain_table

if TYPE_CHECKING:
    from edgewright.compiler.verify.classification import Classification

__all__ = ["classification_table", "disagreement_table"]

#: Disagreements that are shown one by one; JSON has all.
_SHOWN = 10


def classification_table(found: Classification) -> Table:
    """Accuracy of both, agreement of classes, and parity of numbers."""
    table = plain_table(
        f"{found.samples} labelled samples on {found.on}; tolerance {found.tolerance}",
        *("what", "value", ""),
    )
    right = f"{found.correct} of {found.samples}"
    table.add_row("accuracy of the bundle", f"{found.accuracy:.2%}", right)
    right = f"{found.reference_correct} of {found.samples}"
    table.add_row(f"accuracy of {found.reference}", f"{found.reference_accuracy:.2%}", right)
    same = f"{found.samples - len(found.disagreements)} of {found.samples}"
    table.add_row("same class", f"{found.agreement:.2%}", same)
    for row in found.worst:
        error = f"{row.max_abs:.2e}, {row.of_largest:.2e} of largest"
        verdict = "pass" if row.passed else f"FAIL: {row.reason}"
        style = None if row.passed else "red"
        table.add_row(f"largest error of '{row.name}'", error, verdict, style=style)
    return table


def disagreement_table(found: Classification) -> Table:
    """The first samples that the two put into different classes."""
    table = plain_table(
        f"Samples in different classes: {len(found.disagreements)}",
        *("sample", "label", "bundle", found.reference, "gap of its scores"),
        right=frozenset(range(5)),
    )
    for one in found.disagreements[:_SHOWN]:
        cells = (one.sample, one.label, one.predicted, one.expected)
        table.add_row(*map(str, cells), f"{one.gap:.2e}")
    return table
