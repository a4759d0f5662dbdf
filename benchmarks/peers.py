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
from pathlib import Path
from typing import Any

import numpy as np
from peer_engines import ENGINES, OURS, REFERENCE
from peer_process import Process, ProcessFailure
from peer_report import Comparison, Sample, result_table, scaling_table, summarize
from rich.console import Console

import edgewright
from edgewright.deploy.benchmark import conditions
from edgewright.models.registry import list_models
from edgewright.spec.errors import EdgewrightError

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
#: An engine whose logits differ from onnxruntime's by more, as a share of the largest, is not
#: timed: it computes something else. MNN's fast convolutions alone come to 1e-3 on ResNet-50.
MAX_ERROR = 1e-2
#: The shortest turn of an engine; a network that is slower has one inference a turn.
TURN_SECONDS = 0.1
SEED = 7

#: An engine and its number of threads.
Contender = tuple[str, int]


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
    parsed.engines = list(dict.fromkeys([REFERENCE, OURS, *_listed(parsed.engines)]))
    for engine in parsed.engines:
        if engine not in ENGINES:
            parser.error(f"unknown engine '{engine}'; there are {', '.join(ENGINES)}")
    known = [entry.name for entry in list_models("network")]
    threads = _listed(parsed.threads)
    if not threads or not all(count.isdigit() and int(count) for count in threads):
        parser.error(f"--threads is '{parsed.threads}'; it lists numbers of at least 1: 1,2")
    parsed.threads = sorted({int(count) for count in threads})
    if parsed.json is not None and not parsed.json.resolve().parent.is_dir():
        parser.error(f"--json is '{parsed.json}', in a folder that does not exist")
    for network in parsed.networks:
        if network not in known and not (network.endswith(".onnx") and Path(network).is_file()):
            parser.error(f"'{network}' is no .onnx file and none of {', '.join(known)}")
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
        try:
            with Process(engine, _interpreter(engine, python)) as process:
                found = process.call("version")
        except ProcessFailure as failure:  # an interpreter without numpy, or none at all
            found = {"missing": str(failure)}
        if "missing" in found:
            # The constraints keep what needs torch from pulling gigabytes of CUDA.
            needed = " ".join(("numpy", *ENGINES[engine].packages))
            missing[engine] = f"{python} -m pip install -c constraints.txt {needed}"
            console.print(f"[yellow]{engine} cannot be used[/]: {found['missing']}", soft_wrap=True)
            console.print(f"  install it with {missing[engine]}", soft_wrap=True)
        else:
            versions[engine] = found["version"] or edgewright.__version__
    return versions, missing


def _interpreter(engine: str, python: str) -> str:
    return sys.executable if engine == OURS else python


@contextmanager
def prepared_network(network: str) -> Iterator[tuple[str, dict[str, str], tuple[int, ...]]]:
    """The network's name, its input's shape, and its files.

    Those are ``peer_engines.Files`` by name, the input, and onnxruntime's logits.
    """
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
            "source": bundle.manifest.inputs[0].name,
            "output": bundle.manifest.outputs[0].name,
        }
        yield model.stem, files, tuple(bundle.manifest.inputs[0].shape)


def compare(network: str, options: argparse.Namespace, engines: Sequence[str]) -> Comparison:
    """Convert, check and time one network."""
    with prepared_network(network) as (name, files, shape), ExitStack() as stack:
        x = np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
        np.save(_input(files), x)
        failures: dict[str, str] = {}
        contenders: dict[Contender, Process] = {}
        facts: dict[Contender, tuple[float, float]] = {}
        for engine in engines:
            opened: dict[Contender, Process] = {}
            try:
                for count in options.threads:
                    process = Process(engine, _interpreter(engine, options.python))
                    opened[engine, count] = stack.enter_context(process)
                    facts[engine, count] = open_network(process, files, count, len(opened) == 1)
                contenders |= opened
            except ProcessFailure as failure:
                failures[engine] = str(failure)
        rounds = take_turns(contenders, options.rounds, failures)
        return Comparison(name, summarize(rounds, facts), failures)


def _input(files: dict[str, str]) -> Path:
    return Path(files["work"]) / "input.npy"


def open_network(
    process: Process, files: dict[str, str], threads: int, convert: bool
) -> tuple[float, float]:
    """Convert the network if asked to, open it, and check its logits against onnxruntime's.

    Returns:
        The error, as :func:`relative_error` has it, and seconds from nothing to the first logits.

    Raises:
        ProcessFailure: the engine fails, or its error is above :data:`MAX_ERROR`.
    """
    work = Path(files["work"]) / process.engine
    own = files | {"work": str(work)}
    if convert:
        work.mkdir()
        process.call("convert", files=own)
    output = work / f"logits{threads}.npy"
    source = str(_input(files))
    first = process.call("load", files=own, threads=threads, source=source, output=str(output))
    reference = Path(files["work"]) / "reference.npy"
    if process.engine == REFERENCE and not reference.exists():
        output.rename(reference)
        return 0.0, first
    if not reference.exists():
        raise ProcessFailure(f"{REFERENCE}, which checks its numbers, failed")
    error = relative_error(np.load(output), np.load(reference))
    if not error <= MAX_ERROR:
        raise ProcessFailure(f"its numbers are wrong: error {error:.1e}, at most {MAX_ERROR:.0e}")
    return error, first


def relative_error(actual: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference as a share of the reference's largest value; infinite if shapes differ."""
    if actual.size != reference.size:
        return math.inf
    largest = float(np.abs(reference).max())
    return float(np.abs(actual.reshape(reference.shape) - reference).max()) / largest


def take_turns(
    contenders: dict[Contender, Process], rounds: int, failures: dict[str, str]
) -> dict[Contender, list[list[Sample]]]:
    """The inferences of each round, by contender; one that fails is left out and told of."""
    samples: dict[Contender, list[list[Sample]]] = {key: [] for key in contenders}
    order = list(contenders)
    for _ in range(rounds):
        for key in order:
            if key[0] in failures:
                continue
            try:
                samples[key].append(contenders[key].call("measure", seconds=TURN_SECONDS))
            except ProcessFailure as failure:
                failures[key[0]] = str(failure)
        order.reverse()
    return {key: turns for key, turns in samples.items() if key[0] not in failures}


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
            dataclasses.asdict(comparison)
            | {"best_peer": {str(n): comparison.best_peer(n) for n in options.threads}}
            for comparison in comparisons
        ],
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace the file, by a whole one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; the exit status is the module's."""
    options = arguments(argv)
    console = Console() if sys.stdout.isatty() else Console(width=140)
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
            try:
                comparisons.append(compare(network, options, list(versions)))
            except EdgewrightError as error:
                console.print(f"[red]edgewright failed on {network}[/]: {error}", soft_wrap=True)
                return error.exit_status
        for engine, failure in comparisons[-1].failures.items():
            console.print(f"[red]{engine} failed on {network}[/]: {failure}", soft_wrap=True)
        if options.json is not None:  # after each network: a long run that is ended loses nothing
            write_json(options.json, report(options, versions, missing, comparisons))
    for count in options.threads:
        console.print(result_table(comparisons, list(versions), count))
    if len(options.threads) > 1:
        console.print(scaling_table(comparisons, list(versions), options.threads))
    return int(any(comparison.failures for comparison in comparisons))


if __name__ == "__main__":
    sys.exit(main())
