"""Times Edgewright and other engines on the same networks, in turns within one run.

    python benchmarks/peers.py                        # all engines, eight networks, 1 and 2 threads
    python benchmarks/peers.py resnet18 my.onnx --threads 1 --json peers.json
    python benchmarks/peers.py --python .venv-peers/bin/python     # where the other engines are

Every engine runs in a process of its own and is checked against onnxruntime before it is timed.
Then, for each network, all engines with all numbers of threads take turns of a fraction of a second
until each had its rounds, in alternating order, so that a busy machine meets all of them alike.
Compare numbers of one run, never of two. Nothing is downloaded.

The exit status is 1 if an engine's numbers are wrong, and 3 if onnxruntime is missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from peer_engines import ENGINES
from peer_process import Process, ProcessFailure
from rich.console import Console
from rich.table import Table

import edgewright
from edgewright.deploy.benchmark import conditions

NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenet_v1",
    "mobilenet_v2",
    "squeezenet1_1",
    "shufflenet_v2",
    "googlenet",
    "vgg16",
)
OURS, REFERENCE = "edgewright", "onnxruntime"
#: An engine whose logits differ from onnxruntime's by more, as a share of the largest, is not
#: timed: it computes something else. MNN's fast convolutions alone come to 1e-4.
MAX_ERROR = 1e-3
#: The shortest turn of an engine; a network that is slower has one inference a turn.
TURN_SECONDS = 0.1
SEED = 7

#: An engine and its number of threads.
Contender = tuple[str, int]


@dataclass(frozen=True)
class Latency:
    """One engine on one network.

    Attributes:
        engine: its name.
        threads: threads it used.
        median_ms: median over all inferences.
        min_ms: the fastest.
        repeats: inferences that count.
        ratio: its median over Edgewright's with as many threads, in the median round; above 1 it is
            slower than Edgewright.
        error: largest difference from onnxruntime's logits, as a share of the largest logit.
        first_seconds: from nothing to the first logits; conversion not included.
    """

    engine: str
    threads: int
    median_ms: float
    min_ms: float
    repeats: int
    ratio: float
    error: float
    first_seconds: float


@dataclass
class Comparison:
    """All engines on one network.

    Attributes:
        network: its name.
        latencies: those that were timed.
        failures: what went wrong, by engine.
    """

    network: str
    latencies: list[Latency]
    failures: dict[str, str]

    def best_peer(self, threads: int) -> Latency | None:
        """The fastest engine that is not ours, by ratio."""
        peers = [t for t in self.latencies if t.threads == threads and t.engine != OURS]
        return min(peers, key=lambda latency: latency.ratio, default=None)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="peers.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS, help="names or .onnx files")
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: %(default)s")
    parser.add_argument("--threads", default="1,2", help="default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=15, help="turns of each; default: %(default)s"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter of all engines but ours"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the results to this file")
    parsed = parser.parse_args(argv)
    parsed.engines = [OURS, REFERENCE, *_listed(parsed.engines)]
    parsed.engines = list(dict.fromkeys(parsed.engines))
    for engine in parsed.engines:
        if engine not in ENGINES:
            parser.error(f"unknown engine '{engine}'; there are {', '.join(ENGINES)}")
    threads = _listed(parsed.threads)
    if not threads or not all(count.isdigit() and int(count) for count in threads):
        parser.error(f"--threads is '{parsed.threads}'; it lists numbers of at least 1: 1,2")
    parsed.threads = sorted({int(count) for count in threads})
    if parsed.rounds < 1:
        parser.error(f"--rounds is {parsed.rounds}; at least 1 is needed")
    return parsed


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def find_engines(
    engines: Sequence[str], python: str, console: Console
) -> tuple[dict[str, str], dict[str, str]]:
    """Versions of the engines that are installed, and how to install the others.

    Returns:
        Both by engine.
    """
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for engine in engines:
        with Process(engine, _interpreter(engine, python)) as process:
            found = process.call("version")
        if "missing" in found:
            needed = " ".join(ENGINES[engine].packages)
            missing[engine] = f"{_interpreter(engine, python)} -m pip install {needed}"
            console.print(f"[yellow]{engine} is missing[/]: {missing[engine]}", soft_wrap=True)
        else:
            versions[engine] = found["version"] or edgewright.__version__
    return versions, missing


def _interpreter(engine: str, python: str) -> str:
    return sys.executable if engine == OURS else python


@contextmanager
def prepared_network(network: str) -> Iterator[tuple[str, dict[str, str], tuple[int, ...]]]:
    """The network's name, its files (see ``peer_engines.Files``), and its input's shape."""
    import onnx_ir

    from edgewright.compiler.onnx_passes import load_model, prepare

    with tempfile.TemporaryDirectory(prefix="edgewright-peers-") as name:
        folder = Path(name)
        model = Path(network).resolve()
        if model.suffix != ".onnx":
            from edgewright.models.export import export

            model = folder / f"{network}.onnx"
            export(network, model)
        bundle = edgewright.compile(model, "host", output=folder / "bundle")
        onnx_ir.save(prepare(load_model(model)), folder / "prepared.onnx")
        files = {
            "model": str(model),
            "prepared": str(folder / "prepared.onnx"),
            "bundle": str(bundle.path),
            "work": name,
        }
        yield model.stem, files, tuple(bundle.manifest.inputs[0].shape)


def compare(network: str, options: argparse.Namespace, engines: Sequence[str]) -> Comparison:
    """Convert, check and time one network."""
    with prepared_network(network) as (name, files, shape), ExitStack() as stack:
        source = Path(files["work"]) / "input.npy"
        np.save(source, np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32))
        failures: dict[str, str] = {}
        contenders: dict[Contender, Process] = {}
        facts: dict[Contender, tuple[float, float]] = {}
        reference: np.ndarray | None = None
        for engine in sorted(engines, key=lambda engine: engine != REFERENCE):
            own = {**files, "work": str(Path(files["work"]) / engine)}
            Path(own["work"]).mkdir()
            for count in options.threads:
                try:
                    process = stack.enter_context(
                        Process(engine, _interpreter(engine, options.python))
                    )
                    if count == options.threads[0]:
                        process.call("convert", files=own)
                    output = Path(own["work"]) / f"output{count}.npy"
                    first = process.call(
                        "load", files=own, threads=count, source=str(source), output=str(output)
                    )
                    logits = np.load(output)
                    if reference is None:
                        reference = logits
                    error = relative_error(logits, reference)
                    if not error <= MAX_ERROR:
                        raise ProcessFailure(f"its numbers are wrong: error {error:.1e}")
                except ProcessFailure as failure:
                    failures[engine] = str(failure)
                    break
                contenders[engine, count] = process
                facts[engine, count] = (error, first)
        for contender in [key for key in contenders if key[0] in failures]:
            del contenders[contender]
        rounds = take_turns(contenders, options.rounds)
    return Comparison(name, summarize(rounds, facts), failures)


def relative_error(actual: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference as a share of the reference's largest value; infinite if shapes differ."""
    if actual.size != reference.size:
        return math.inf
    largest = float(np.abs(reference).max())
    return float(np.abs(actual.reshape(reference.shape) - reference).max()) / largest


def take_turns(contenders: dict[Contender, Process], rounds: int) -> dict[Contender, list[Any]]:
    """Milliseconds of each inference, by contender and round."""
    samples: dict[Contender, list[Any]] = {key: [] for key in contenders}
    order = list(contenders)
    for _ in range(rounds):
        for key in order:
            samples[key].append(contenders[key].call("measure", seconds=TURN_SECONDS, least=1))
        order.reverse()
    return samples


def summarize(
    rounds: dict[Contender, list[list[float]]], facts: dict[Contender, tuple[float, float]]
) -> list[Latency]:
    """Latencies of all contenders; see :class:`Latency` for the ratio."""
    latencies = []
    for (engine, threads), turns in rounds.items():
        ours = rounds.get((OURS, threads))
        ratio = math.nan
        if ours is not None:
            ratio = median(median(t) / median(o) for t, o in zip(turns, ours, strict=True))
        samples = [sample for turn in turns for sample in turn]
        error, first = facts[engine, threads]
        latencies.append(
            Latency(
                engine, threads, median(samples), min(samples), len(samples), ratio, error, first
            )
        )
    return latencies


def result_table(comparisons: Sequence[Comparison], engines: Sequence[str], threads: int) -> Table:
    """Median milliseconds and, in brackets, how many times slower than Edgewright."""
    table = Table(title=f"{threads} thread{'s'[: threads > 1]}: median ms (times Edgewright's)")
    table.add_column("network")
    for engine in engines:
        table.add_column(engine, justify="right")
    table.add_column("best peer", justify="right")
    ratios: dict[str, list[float]] = {engine: [] for engine in [*engines, "best"]}
    for comparison in comparisons:
        found = {t.engine: t for t in comparison.latencies if t.threads == threads}
        cells = []
        for engine in engines:
            latency = found.get(engine)
            if latency is None:
                cells.append("failed" if engine in comparison.failures else "")
            else:
                ratios[engine].append(latency.ratio)
                ratio = "" if engine == OURS else f" ({latency.ratio:.2f})"
                cells.append(f"{latency.median_ms:.2f}{ratio}")
        best = comparison.best_peer(threads)
        if best is not None:
            ratios["best"].append(best.ratio)
        table.add_row(comparison.network, *cells, f"{best.engine} {best.ratio:.2f}" if best else "")
    means = [
        f"{geometric_mean(ratios[e]):.2f}" if ratios[e] and not math.isnan(sum(ratios[e])) else ""
        for e in [*engines, "best"]
    ]
    table.add_section()
    table.add_row("geometric mean", *means)
    return table


def scaling_table(comparisons: Sequence[Comparison], engines: Sequence[str]) -> Table:
    """How many times faster each engine is with all its threads than with the fewest."""
    table = Table("network", *engines, title="Times faster with the most threads than the fewest")
    for comparison in comparisons:
        cells = []
        for engine in engines:
            times = {t.threads: t.median_ms for t in comparison.latencies if t.engine == engine}
            cells.append(f"{times[min(times)] / times[max(times)]:.2f}" if len(times) > 1 else "")
        table.add_row(comparison.network, *cells)
    return table


def report(
    options: argparse.Namespace,
    versions: dict[str, str],
    missing: dict[str, str],
    comparisons: Sequence[Comparison],
) -> dict[str, Any]:
    """Everything that was measured and what it was measured under, as JSON has it."""
    return {
        "schema": 1,
        "conditions": dataclasses.asdict(conditions()) | {"load_average": os.getloadavg()},
        "method": {
            "rounds": options.rounds,
            "turn_seconds": TURN_SECONDS,
            "threads": options.threads,
            "batch": 1,
            "dtype": "float32",
            "input": f"numpy default_rng({SEED}).standard_normal",
            "max_error": MAX_ERROR,
        },
        "engines": {
            engine: {"version": version, "settings": ENGINES[engine].settings}
            for engine, version in versions.items()
        },
        "missing": missing,
        "networks": [
            dataclasses.asdict(comparison) | {"best_peer": _best(comparison, options.threads)}
            for comparison in comparisons
        ],
    }


def _best(comparison: Comparison, threads: Sequence[int]) -> dict[str, Any]:
    best = {count: comparison.best_peer(count) for count in threads}
    return {
        str(n): {"engine": peer.engine, "ratio": peer.ratio} for n, peer in best.items() if peer
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; the exit status is the module's."""
    options = arguments(argv)
    console = Console()
    versions, missing = find_engines(options.engines, options.python, console)
    if REFERENCE in missing:
        console.print(f"[red]{REFERENCE} checks all the others and is needed.[/]")
        return 3
    for engine, version in versions.items():
        console.print(f"{engine} {version}: {ENGINES[engine].settings}", highlight=False)
    machine = conditions()
    console.print(f"{machine.cpu}, {machine.cores} cores, governor {machine.governor}")
    comparisons = []
    for network in options.networks:
        with console.status(f"{network}: compile, convert, check, time"):
            comparisons.append(compare(network, options, list(versions)))
        for engine, failure in comparisons[-1].failures.items():
            console.print(f"[red]{engine} failed on {network}[/]: {failure}", soft_wrap=True)
        if options.json is not None:  # after each network: a long run that is ended loses nothing
            text = json.dumps(report(options, versions, missing, comparisons), indent=2)
            part = options.json.with_name(f".{options.json.name}.part")
            part.write_text(text + "\n")
            part.replace(options.json)
    for count in options.threads:
        console.print(result_table(comparisons, list(versions), count))
    if len(options.threads) > 1:
        console.print(scaling_table(comparisons, list(versions)))
    return int(any(comparison.failures for comparison in comparisons))


if __name__ == "__main__":
    sys.exit(main())
