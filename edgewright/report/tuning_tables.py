"""What tuning found, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from edgewright.report.tables import plain_table

if TYPE_CHECKING:
    from edgewright.deploy.manifest import Manifest
    from edgewright.deploy.tuning.tune import Tuning
    from edgewright.schedules.records import Record

__all__ = ["records_line", "summary_line", "tuning_table"]


def tuning_table(tuning: Tuning) -> Table:
    """Each layer: the cost model's choice, the best that was measured, and what it gains."""
    machine = tuning.records.machine
    threads = f"{tuning.threads} thread{'s' if tuning.threads > 1 else ''}"
    table = plain_table(
        f"Kernels on {machine.cpu}, {threads}, governor {machine.governor}",
        "layer",
        "model's choice",
        "us",
        "best",
        "us",
        "gain",
        "tried",
        right=frozenset({2, 4, 5, 6}),
    )
    for layer in tuning.layers:
        record = layer.record
        if record is None:
            table.add_row(layer.layer, "; ".join(layer.excluded) or "not measured yet")
            continue
        same = record.kernel == record.model_choice
        table.add_row(
            layer.layer,
            _tile(record, record.model_choice),
            _time(record, record.model_choice),
            "same" if same else _tile(record, record.kernel),
            _time(record, record.kernel),
            "" if same else f"{record.gain:.2f}",
            str(len(record.measured))
            + (f", {len(record.excluded)} failed" if record.excluded else ""),
        )
    return table


def _tile(record: Record, kernel: str) -> str:
    """``direct oc2ow14…`` of a kernel that was measured."""
    found = next((entry for entry in record.measured if entry.kernel == kernel), None)
    return f"{found.algorithm} {found.config}" if found is not None else kernel


def _time(record: Record, kernel: str) -> str:
    nanoseconds = record.median_ns(kernel)
    return f"{nanoseconds / 1e3:.1f}" if nanoseconds is not None else "failed"


def summary_line(tuning: Tuning) -> str:
    """The layers' times together, and what is left to measure."""
    records = [layer.record for layer in tuning.layers if layer.record is not None]
    best = [record.median_ns(record.kernel) or 0.0 for record in records]
    model = [time * record.gain for time, record in zip(best, records, strict=True)]
    text = f"{len(records)} of {len(tuning.layers)} layers are measured"
    if records:
        text += (
            f": {sum(model) / 1e3:.1f} us with the model's choices, {sum(best) / 1e3:.1f} us with "
            f"the best, {sum(model) / sum(best):.2f} times faster"
        )
    if tuning.remaining:
        left = f"{tuning.remaining} workload{'s are' if tuning.remaining > 1 else ' is'} left"
        text += f". {left}: run the command again to go on"
    return f"{text}."


def records_line(manifest: Manifest) -> str:
    """How many layers of a bundle follow the records, and why the others do not."""
    measured = len({layer.name for layer in manifest.layers if "; measured: " in layer.reason})
    ignored = {
        reason.removeprefix("records: ")
        for layer in manifest.layers
        for reason in layer.declined
        if reason.startswith("records: ")
    }
    text = f"{measured} layers have kernels chosen by measurement"
    return f"{text}; elsewhere: {'; '.join(sorted(ignored))}" if ignored else text
