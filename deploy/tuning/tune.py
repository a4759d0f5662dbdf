"""Measures the kernels of a model's layers on this machine and keeps the times."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from edgewright.compiler.tunable import Tunable
from edgewright.deploy.benchmark import conditions
from edgewright.deploy.boards.registry import Board
from edgewright.deploy.tuning.job import Outcome
from edgewright.deploy.tuning.measuring_process import MeasuringProcess
from edgewright.schedules.records import Machine, Record, Records, Session, TunedTarget
from edgewright.schedules.select import candidates
from edgewright.spec.errors import OutputError, RecordsError, TargetError, UsageError
from edgewright.spec.progress import Progress, silent
from edgewright.spec.target import Target, host_target

__all__ = ["TunedLayer", "Tuning", "check_conditions", "open_records", "tune_layers"]

#: Each has the instructions of those before it.
_X86_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
#: How long the candidates of one workload are timed, together.
_SECONDS = 1.5
#: The same where the budget is short.
_MIN_SECONDS = 0.3


@dataclass(frozen=True)
class TunedLayer:
    """What is known of one layer.

    Attributes:
        layer: the first ONNX node that it computes.
        workload: its name in the records.
        record: what was measured of it, or None.
        excluded: candidates that failed and why, if all did.
    """

    layer: str
    workload: str
    record: Record | None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tuning:
    """What :func:`edgewright.tune` found.

    Attributes:
        records: everything that the file holds now.
        layers: the model's convolutions and matrix products, in order.
        threads: threads that shared the work.
        measured: workloads that were measured now; several layers may share one.
        remaining: workloads that the budget did not reach.
    """

    records: Records
    layers: tuple[TunedLayer, ...]
    threads: int
    measured: int
    remaining: int


def check_conditions(
    target: Target,
    board: Board | None,
    threads: int | None,
    budget: float | None,
    output: Path | None,
) -> int:
    """Refuse early what could not be measured or kept.

    Args:
        target: what to compile for.
        board: the board that was named, or None.
        threads: threads that shall share the work; None for as many as a bundle uses here.
        budget: seconds, or None.
        output: the file of records, or None.

    Returns:
        The number of threads.

    Raises:
        TargetError: the target is a board, or a core that this machine is not.
        UsageError: a number is out of range.
        OutputError: the file's folder does not exist, or may not be written to.
    """
    _check_runs_here(target, board)
    if budget is not None and not 0 < budget < math.inf:
        raise UsageError(f"a budget of {budget:g} seconds was given", rule="It is more than 0.")
    if threads is None:
        threads = min(target.num_cores, len(os.sched_getaffinity(0)))
    if not 1 <= threads <= 64:
        raise UsageError(f"{threads} threads were asked for", rule="A model uses 1 to 64 threads.")
    if output is not None and (output.is_dir() or not os.access(output.absolute().parent, os.W_OK)):
        raise OutputError(
            f"the records '{output}' cannot be written",
            rule="Records are one file in a folder that exists.",
            remedy="Name a file in a folder that you may write to.",
        )
    return threads


def _check_runs_here(target: Target, board: Board | None) -> None:
    host = host_target()
    levels = {level: number for number, level in enumerate(_X86_LEVELS)}
    same = (target.mtriple, target.mcpu, target.mattr) == (host.mtriple, host.mcpu, host.mattr)
    within = target.arch == host.arch and levels.get(target.mcpu, 9) <= levels.get(host.mcpu, -1)
    if board is None and (same or within):
        return
    name = board.name if board is not None else target.name
    raise TargetError(
        f"kernels for '{name}' cannot be timed here: this machine is {host.mcpu} ({host.arch})",
        rule="A kernel is timed on the core it is for, since an emulated time is none, and this "
        "version cannot send kernels to a board.",
        remedy="Run `edgewright tune MODEL --target host` on the board itself, or on another "
        "machine with its core, and give the file to `edgewright compile --records`.",
    )


def open_records(path: Path | None) -> Records:
    """The records to extend: those of the file, or none yet for a file that is not there.

    Raises:
        RecordsError: the file is damaged, or was measured on another processor.
    """
    found = conditions()
    system = f"{platform.system()} {platform.release()}"
    here = Machine(found.cpu, found.cores, found.governor, found.max_mhz, system)
    if path is None or not path.exists():
        return Records(here)
    records = Records.load(path)
    if records.machine.cpu != here.cpu:
        raise RecordsError(
            f"the records '{path}' were measured on '{records.machine.cpu}', and this is "
            f"'{here.cpu}'",
            rule="Times of two processors do not belong together.",
            remedy="Name another output file.",
        )
    return records


def tune_layers(
    tunables: Sequence[Tunable],
    target: Target,
    records: Records,
    *,
    threads: int,
    output: Path | None,
    budget: float | None,
    command: str,
    progress: Progress = silent,
) -> Tuning:
    """Measure what the records do not have yet, the most costly workloads first.

    Args:
        tunables: layers of a model, in order.
        target: what to compile for; see :func:`check_conditions`.
        records: what is known already.
        threads: threads that share the work.
        output: the file that is written after each workload, or None.
        budget: seconds after which no other workload is begun, or None.
        command: what the user asked for, for the file.
        progress: told ``tune`` and the fraction that is done.

    Raises:
        ToolError: the toolchain failed.
        OutputError: the file cannot be written.
    """
    start = time.monotonic()
    due = [t for t in _by_cost(tunables) if not _known(t, target, threads, records)]
    seconds = _SECONDS
    if budget is not None and due:
        seconds = min(_SECONDS, max(_MIN_SECONDS, budget / len(due) / 4))
    records = records.with_session(_session(command))
    failed: dict[str, tuple[str, ...]] = {}
    done = 0
    with MeasuringProcess(target, threads) as process:
        for tunable in due:
            if budget is not None and time.monotonic() - start >= budget:
                break
            fraction = done / len(due)
            outcome = process.measure(tunable, seconds, partial(progress, "tune", fraction))
            done += 1
            if outcome.measured:
                records = records.with_record(_record(tunable, target, threads, records, outcome))
                if output is not None:
                    records.save(output)
            else:
                failed[tunable.key] = tuple(f"{e.kernel}: {e.reason}" for e in outcome.excluded)
    progress("tune", 1.0)
    layers = tuple(
        TunedLayer(t.layer, t.key, _found(t, target, threads, records), failed.get(t.key, ()))
        for t in tunables
    )
    return Tuning(records, layers, threads, done, len(due) - done)


def _by_cost(tunables: Sequence[Tunable]) -> Iterator[Tunable]:
    """One layer for each workload, by the multiply-accumulates of all that share it."""
    counts = Counter(tunable.key for tunable in tunables)
    first = {tunable.key: tunable for tunable in reversed(tunables)}
    yield from sorted(first.values(), key=lambda t: -t.workload.macs * counts[t.key])


def _found(tunable: Tunable, target: Target, threads: int, records: Records) -> Record | None:
    """The record of a workload under just these conditions."""
    wanted = (tunable.key, TunedTarget.of(target), threads)
    found = (r for r in records.records if (r.workload, r.target, r.threads) == wanted)
    return next(found, None)


def _known(tunable: Tunable, target: Target, threads: int, records: Records) -> bool:
    """Whether a workload was measured, and with the cost model's choice of today."""
    record = _found(tunable, target, threads, records)
    if record is None:
        return False
    choice = candidates(tunable.workload, target, tunable.input_layout, 1)[0].name
    return choice in {m.kernel for m in record.measured} | {e.kernel for e in record.excluded}


def _record(
    tunable: Tunable, target: Target, threads: int, records: Records, outcome: Outcome
) -> Record:
    winner = next(entry for entry in outcome.measured if entry.kernel == outcome.kernel)
    rounded = [replace(m, median_ns=float(math.ceil(m.median_ns))) for m in outcome.measured]
    return Record(
        workload=tunable.key,
        target=TunedTarget.of(target),
        threads=threads,
        rounds=outcome.rounds,
        session=len(records.sessions) - 1,
        kernel=outcome.kernel,
        config=winner.config,
        model_choice=outcome.model_choice,
        measured=tuple(rounded),
        excluded=outcome.excluded,
    )


def _session(command: str) -> Session:
    """This run."""
    import tvm_ffi

    llvm = tvm_ffi.get_global_func("target.llvm_version_major")()
    return Session(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        edgewright=importlib.metadata.version("edgewright"),
        tvm=importlib.metadata.version("apache-tvm"),
        llvm=str(llvm),
    )
