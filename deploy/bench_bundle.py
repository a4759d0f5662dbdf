"""Times a bundle on this machine or on a board, alone or in turns with onnxruntime."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgewright.deploy.bench_machine import Placement, bench_once, placements, recommend
from edgewright.deploy.benchmark import Benchmark, Conditions, Timing, make_timing
from edgewright.deploy.board_runner import on_board
from edgewright.deploy.boards.report import BoardReport, read_report
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.cuda.device_report import EMULATED_GPU
from edgewright.deploy.machine_state import MachineState
from edgewright.deploy.runner import check_host
from edgewright.deploy.transport.local_machine import LocalMachine
from edgewright.deploy.transport.machine import Machine
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.deploy.transport.refusals import refused
from edgewright.deploy.transport.ssh_address import parse_ssh_address
from edgewright.spec.errors import BoardError, UsageError
from edgewright.spec.progress import Progress, silent

__all__ = ["ENGINES", "bench_bundle"]

#: Engines that a bundle can be compared with.
ENGINES = ("onnxruntime",)

_VERSUS = Path(__file__).with_name("bench_versus.py")
_VERSUS_SECONDS = 3600.0
#: What the device tree of QEMU's board ``virt`` calls it.
_VIRTUAL_BOARD = "linux,dummy-virt"
_NO_PACKAGE = 4
_NO_PROGRAM = 127


def bench_bundle(
    bundle: BundleFolder,
    *,
    on: str = "host",
    threads: Sequence[int] = (1,),
    sweep: bool = False,
    versus: str | None = None,
    model: Path | None = None,
    repeats: int | None = None,
    profile: bool = False,
    progress: Progress = silent,
) -> Benchmark:
    """Measure the latency of one inference on the golden inputs.

    Args:
        bundle: what to time.
        on: ``host``, or a board: ``ssh://user@host[:port][/path]``.
        threads: numbers of threads.
        sweep: try every number of threads on every cluster instead, and recommend one.
        versus: one of :data:`ENGINES`, timed in turns with the bundle, or None.
        model: the ONNX file for that engine.
        repeats: inferences that count; None for what about two seconds allow.
        profile: time each layer too, with the first number of threads.
        progress: told ``copy``, ``bench`` and the fraction that is done.

    Raises:
        UsageError: an argument is out of range, or ``on`` is emulated.
        BoardError: the board cannot be reached, lacks what the bundle needs, or has no onnxruntime.
        ToolError: a program does not end in time, or ssh is not installed.
    """
    _check(on, threads, sweep, versus, model, repeats)
    with _place(bundle, on, progress) as (machine, place):
        report = read_report(machine)
        tried: Sequence[Placement] = [Placement(count) for count in threads]
        if sweep:
            tried = placements(report)
        theirs: list[Timing] = []
        if versus is not None and model is not None:
            theirs = _versus(bundle, machine, place, model, threads, repeats)
            tried = tried[:1] if profile else []  # the turns have timed ours too
        alone = []
        for index, placement in enumerate(tried):
            progress("bench", index / len(tried))
            layers = profile and index == 0
            alone.append(
                bench_once(bundle, machine, place, placement, repeats=repeats, profile=layers)
            )
        progress("bench", 1.0)
    timings = theirs or [measured.timing for measured in alone]
    states = tuple(state for measured in alone for state in measured.states)
    first = alone[0] if profile else None
    return Benchmark(
        on=machine.name,
        model=bundle.manifest.name,
        model_sha256=bundle.manifest.model_sha256,
        target=bundle.manifest.board,
        generator=bundle.manifest.generator,
        conditions=_conditions(report, states),
        timings=tuple(_marked(timing, report) for timing in timings),
        states=states,
        layers=first.layers if first else (),
        peak_gflops=first.peak_gflops if first else None,
        profile_cost_ms=first.profile_cost_ms if first else None,
        recommendation=recommend(timings, tried) if sweep else "",
    )


@contextlib.contextmanager
def _place(bundle: BundleFolder, on: str, progress: Progress) -> Iterator[tuple[Machine, str]]:
    """The machine, and the bundle's folder there."""
    if on == "host":
        check_host(bundle)
        with LocalMachine() as machine:
            yield machine, str(bundle.path.resolve())
        return
    with open_machine(on) as board:
        yield board, on_board(bundle, board, parse_ssh_address(on).path, progress=progress)


def _versus(
    bundle: BundleFolder,
    machine: Machine,
    place: str,
    model: Path,
    threads: Sequence[int],
    repeats: int | None,
) -> list[Timing]:
    """Both engines, in turns, by the machine's own Python.

    Raises:
        BoardError: it has no Python, no onnxruntime, or the program failed.
    """
    done = machine.shell('mktemp -d "${TMPDIR:-/tmp}/edgewright-XXXXXX"', timeout_seconds=60.0)
    if done.status != 0:
        raise refused(machine.name, "to make a temporary folder", done.stderr)
    scratch = done.stdout.strip()
    try:
        machine.send([(_VERSUS, _VERSUS.name), (model, "model.onnx")], scratch)
        python = sys.executable if machine.name == "host" else "python3"
        counts = ",".join(str(count) for count in threads)
        words = [python, f"{scratch}/{_VERSUS.name}", place, f"{scratch}/model.onnx", counts]
        command = " ".join(shlex.quote(word) for word in [*words, str(repeats or 0)])
        done = machine.shell(command, timeout_seconds=_VERSUS_SECONDS)
    finally:
        with contextlib.suppress(BoardError):
            machine.shell(f"rm -rf {scratch}", timeout_seconds=60.0)
    if done.status in (_NO_PACKAGE, _NO_PROGRAM):
        raise BoardError(
            f"{machine.name} cannot run onnxruntime ({done.why})",
            rule="--vs times it with the machine's own Python, numpy and onnxruntime.",
            remedy="Install them there (pip install onnxruntime), or leave --vs out.",
        )
    if done.status != 0:
        raise BoardError(f"the comparison failed on {machine.name} ({done.why})")
    return _versus_timings(json.loads(done.stdout), threads)


def _versus_timings(said: dict[str, Any], threads: Sequence[int]) -> list[Timing]:
    names = {"edgewright": "edgewright", "onnxruntime": f"onnxruntime {said['onnxruntime']}"}
    return [
        make_timing(name, count, said["warmup"], said["samples"][engine][str(count)])
        for count in threads
        for engine, name in names.items()
    ]


def _marked(timing: Timing, report: BoardReport) -> Timing:
    """Mark what a virtual machine measured: if it is emulated, its times are no latencies."""
    if _VIRTUAL_BOARD not in report.compatible:
        return timing
    return dataclasses.replace(timing, marks=(*timing.marks, "virtual machine"))


def _conditions(report: BoardReport, states: Sequence[MachineState]) -> Conditions:
    clocks = [clock for state in states for clock in state.max_clocks_mhz]
    return Conditions(
        cpu=", ".join(name for name in (report.model, report.processor) if name) or "unknown",
        cores=sum(len(cluster.cpus) for cluster in report.clusters),
        governor=next((state.governor for state in states if state.governor), "unknown"),
        max_mhz=max(clocks, default=0.0),
    )


def _check(
    on: str,
    threads: Sequence[int],
    sweep: bool,
    versus: str | None,
    model: Path | None,
    repeats: int | None,
) -> None:
    if on in ("qemu", EMULATED_GPU):
        raise UsageError(
            f"a benchmark on '{on}' was asked for",
            rule="An emulated time says nothing about a latency.",
            remedy="Name a board, --on ssh://user@host, or bench a bundle for --target host.",
        )
    if not threads or not all(1 <= count <= 64 for count in threads):
        raise UsageError(
            f"the numbers of threads {list(threads)} were asked for",
            rule="A model uses 1 to 64 threads.",
        )
    if sweep and versus is not None:
        raise UsageError(
            "a sweep was asked for together with another engine",
            rule="Only the bundle can be kept on some CPUs.",
            remedy="Sweep first, then compare with the number of threads that it recommends.",
        )
    if repeats is not None and repeats < 1:
        raise UsageError(f"{repeats} repeats were asked for", rule="At least 1 is needed.")
    if versus is not None and versus not in ENGINES:
        raise UsageError(
            f"unknown engine '{versus}'",
            rule=f"A bundle can be compared with {', '.join(ENGINES)}.",
        )
    if versus is not None and model is None:
        raise UsageError(
            f"{versus} was asked for without the model",
            rule="A bundle does not hold the ONNX file that it was compiled from.",
            remedy="Name it with --model.",
        )
