"""Runs ONNX's backend cases through our ahead-of-time path on this machine, and onnxruntime.

    python benchmarks/onnx_conformance.py                       # all kinds, both engines
    python benchmarks/onnx_conformance.py --kinds node --match lstm --engines edgewright
    python benchmarks/onnx_conformance.py --json conformance.json

A case's shapes are bound to those of its data, and inputs that must be known when a model is
compiled (axes, target shapes, trip counts) become constants. Verdicts: pass, refused (with a
reason), wrong (numbers, shape or type), crashed (anything unforeseen, a dead process, a time-out).
Cases with sequences, optionals or text count as refused.

The exit status is 1 if one of ours is wrong or crashed.
"""

from __future__ import annotations

import argparse
import json
import queue
import select
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from conformance_cases import KINDS, Case, write_cases
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

WORKER = Path(__file__).with_name("conformance_worker.py")
VERDICTS = ("pass", "refused", "wrong", "crashed")
ENGINES = ("edgewright", "onnxruntime")

#: Verdict and reason by engine, then by case.
Results = dict[str, dict[str, tuple[str, str]]]


class Worker:
    """A ``conformance_worker.py``, started again whenever it dies or takes too long.

    Args:
        engine: what runs the cases.
        seconds: what a case may take.
    """

    def __init__(self, engine: str, seconds: float) -> None:
        self.engine = engine
        self.seconds = seconds
        self.process: subprocess.Popen[str] | None = None

    def judge(self, case: Case) -> tuple[str, str]:
        """Verdict and reason."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), self.engine],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(case)) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], self.seconds)
        line = self.process.stdout.readline() if ready else ""
        if line:
            answer = json.loads(line)
            return answer["verdict"], answer["reason"]
        reason = f"no answer within {self.seconds:g} s"
        if ready:
            reason = f"the process died with status {self.process.wait()}"
        self.close()
        return "crashed", reason

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def run_all(cases: Sequence[Case], engines: Sequence[str], jobs: int, seconds: float) -> Results:
    """Verdicts of every engine on every case."""
    results: Results = {engine: {} for engine in engines}
    work: queue.SimpleQueue[tuple[str, Case]] = queue.SimpleQueue()
    for engine in engines:
        for case in cases:
            work.put((engine, case))
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("cases", total=len(cases) * len(engines))

        def serve() -> None:
            workers = {engine: Worker(engine, seconds) for engine in engines}
            try:
                while True:
                    engine, case = work.get_nowait()
                    results[engine][case.name] = workers[engine].judge(case)
                    progress.advance(bar)
            except queue.Empty:
                for worker in workers.values():
                    worker.close()

        threads = [threading.Thread(target=serve) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results


def summary(cases: Sequence[Case], results: Results) -> Table:
    """Counts of verdicts by kind and engine."""
    table = Table(title="ONNX backend cases", title_justify="left")
    for heading in ("group", "engine", *VERDICTS, "cases"):
        table.add_column(heading, justify="left" if heading in ("group", "engine") else "right")
    for kind in (*dict.fromkeys(case.kind for case in cases), "all"):
        names = [case.name for case in cases if kind in (case.kind, "all")]
        for engine, verdicts in results.items():
            counts = Counter(verdicts[name][0] for name in names)
            row = [str(counts[verdict]) for verdict in VERDICTS]
            table.add_row(kind, engine, *row, str(len(names)))
    return table


def behind(cases: Sequence[Case], results: Results) -> Table:
    """Operators with cases that onnxruntime passes and we do not, with our first reason."""
    missing: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        verdict, reason = results["edgewright"][case.name]
        if verdict != "pass" and results["onnxruntime"][case.name][0] == "pass":
            missing[case.operator].append(f"{verdict}: {reason}")
    table = Table(title="Passed by onnxruntime only", title_justify="left")
    table.add_column("operator")
    table.add_column("cases", justify="right")
    table.add_column("most frequent reason")
    for operator, reasons in sorted(missing.items(), key=lambda entry: -len(entry[1])):
        table.add_row(operator, str(len(reasons)), Counter(reasons).most_common(1)[0][0])
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", default=",".join(KINDS), help="default: %(default)s")
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: %(default)s")
    parser.add_argument("--match", default="", help="only cases whose name contains this")
    parser.add_argument("--operators", help="only cases that begin with one of these operators")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=120.0, help="for each case")
    parser.add_argument("--json", type=Path, help="write verdicts and reasons to this file")
    options = parser.parse_args(arguments)
    engines = options.engines.split(",")
    with tempfile.TemporaryDirectory() as folder:
        cases = write_cases(Path(folder), options.kinds.split(","))
        cases = [case for case in cases if options.match in case.name]
        if options.operators:
            cases = [case for case in cases if case.operator in options.operators.split(",")]
        results = run_all(cases, engines, options.jobs, options.seconds)
    console = Console(width=160 if not sys.stdout.isatty() else None)
    console.print(summary(cases, results))
    if set(ENGINES) <= set(engines):
        console.print(behind(cases, results))
    ours = results.get("edgewright", {})
    bad = [(name, *entry) for name, entry in ours.items() if entry[0] in ("wrong", "crashed")]
    for name, verdict, reason in sorted(bad):
        console.print(f"{verdict}: {name}: {reason}", markup=False, highlight=False)
    if options.json:
        rows = [asdict(case) | {e: results[e][case.name] for e in engines} for case in cases]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
