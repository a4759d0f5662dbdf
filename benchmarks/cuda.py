"""Times bundles for a GPU and PyTorch on the same networks, in turns within one run.

    python benchmarks/cuda.py --prepare bundles              # where Edgewright and nvcc are
    python benchmarks/cuda.py --bundles bundles              # where the GPU, torch and numpy are
    python benchmarks/cuda.py --bundles bundles --dry-run    # where neither is: all but the times

``scripts/cuda_machine.sh`` does the second. Every engine is first checked on the bundle's golden
tensors, which are onnxruntime's. Then the engines take turns; a latency is the time between two
events of the device around one inference, with inputs and outputs in device memory, and a row is
the median. float32 means float32: TF32 is off for all engines unless --tf32 lets PyTorch use it.
The exit status is 1 if numbers are wrong, 3 if there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cuda_engines import ENGINES, BundleEngine, TorchEngine

NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "efficientnet_b0",
    "squeezenet1_1",
    "googlenet",
    "densenet121",
    "vgg16",
)
#: Largest difference from onnxruntime, as a share of the output's largest value.
MAX_ERROR = 1e-3
MAX_ERROR_TF32 = 1e-2
WARMUP, TURN = 10, 20


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="cuda.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batches", default="1,32", help="default: %(default)s")
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each; %(default)s")
    parser.add_argument("--target", default="cuda:sm_90", help="for --prepare; %(default)s")
    parser.add_argument("--prepare", type=Path, help="compile the bundles into this folder")
    parser.add_argument("--bundles", type=Path, help="the folder of prepared bundles")
    parser.add_argument("--tf32", action="store_true", help="let PyTorch use TF32")
    parser.add_argument("--dry-run", action="store_true", help="on the emulated GPU, without times")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    given = parser.parse_args(argv)
    if (given.prepare is None) == (given.bundles is None):
        parser.error("give --prepare or --bundles")
    given.batches = [int(batch) for batch in given.batches.split(",")]
    given.engines = given.engines.split(",")
    if not set(given.engines) <= set(ENGINES):
        parser.error(f"engines are {', '.join(ENGINES)}")
    return given


def prepare(given: argparse.Namespace) -> int:
    """Compile every network for every batch."""
    import tempfile

    import edgewright
    from edgewright.models.export import export

    with tempfile.TemporaryDirectory() as folder:
        for network in given.networks:
            for batch in given.batches:
                model = Path(folder, f"{network}.onnx")
                export(network, model, batch=batch)
                place = given.prepare / f"{network}-b{batch}"
                edgewright.compile(model, given.target, output=place, force=True)
                print(place, flush=True)
    return 0


def golden(bundle: Path, role: str) -> dict[str, Any]:
    """The bundle's golden tensors by name; ``role`` is ``input`` or ``output``."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    found = {}
    for index, spec in enumerate(manifest[f"{role}s"]):
        raw = np.fromfile(bundle / "golden" / f"{role}{index}.bin", dtype=spec["dtype"])
        found[spec["name"]] = raw.reshape(spec["shape"])
    return found


def error_of(outputs: Sequence[Any], expected: dict[str, Any]) -> float:
    """Largest difference of all outputs, each as a share of its largest value."""
    worst = 0.0
    for actual, wanted in zip(outputs, expected.values(), strict=True):
        if not np.isfinite(actual).all():
            return float("inf")
        largest = float(np.abs(wanted).max()) or 1.0
        worst = max(worst, float(np.abs(actual - wanted).max()) / largest)
    return worst


def time_turn(engine: Any, torch: Any) -> list[float]:
    """Milliseconds of each inference of one turn, by events of the device."""
    taken = []
    for index in range(WARMUP + TURN):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        stream = engine.stream()
        begin.record(stream)
        engine.enqueue()
        end.record(stream)
        engine.finish()
        end.synchronize()
        if index >= WARMUP:
            taken.append(begin.elapsed_time(end))
    return taken


def make_engines(given: argparse.Namespace, network: str, bundle: Path, torch: Any) -> list[Any]:
    """The engines of one network and batch."""
    from edgewright.models.registry import build

    inputs = golden(bundle, "input")
    made: list[Any] = []
    for name in given.engines:
        if name == "edgewright":
            made.append(BundleEngine(bundle, inputs, torch))
        else:
            made.append(TorchEngine(name, build(network), list(inputs.values()), torch))
    return made


def measure(
    given: argparse.Namespace, network: str, batch: int, torch: Any
) -> list[dict[str, Any]]:
    """One row for each engine."""
    bundle = given.bundles / f"{network}-b{batch}"
    expected = golden(bundle, "output")
    engines = make_engines(given, network, bundle, torch)
    rows = []
    samples: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for turn in range(given.rounds):
        for engine in engines if turn % 2 == 0 else reversed(engines):
            samples[engine.name] += time_turn(engine, torch)
    for engine in engines:
        limit = MAX_ERROR_TF32 if given.tf32 and engine.name != "edgewright" else MAX_ERROR
        error = error_of(engine.infer(), expected)
        median = statistics.median(samples[engine.name])
        rows.append(
            {
                "network": network,
                "batch": batch,
                "engine": engine.name,
                "error": error,
                "passed": error <= limit,
                "median_ms": median,
                "images_per_second": batch / median * 1e3,
                "samples": len(samples[engine.name]),
            }
        )
    return rows


def dry_run(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The bundles on the emulated GPU: all that is not time."""
    import edgewright

    rows = []
    for network in given.networks:
        for batch in given.batches:
            bundle = edgewright.load(given.bundles / f"{network}-b{batch}")
            verification = bundle.verify(on="emulated-gpu")
            row = {"network": network, "batch": batch, "engine": "edgewright, emulated"}
            row.update(error=verification.worst_of_largest, passed=verification.passed)
            rows.append(row)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text; a dash for what was not measured."""
    lines = [
        f"{'network':18}{'batch':>6}  {'engine':22}{'median ms':>11}{'img/s':>11}{'error':>10}"
    ]
    for row in rows:
        median = f"{row['median_ms']:.4f}" if "median_ms" in row else "-"
        rate = f"{row['images_per_second']:.1f}" if "median_ms" in row else "-"
        failed = "" if row["passed"] else "  WRONG"
        lines.append(
            f"{row['network']:18}{row['batch']:>6}  {row['engine']:22}{median:>11}{rate:>11}"
            f"{row['error']:>10.1e}{failed}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare, or measure and print."""
    given = arguments(argv)
    if given.prepare is not None:
        return prepare(given)
    about: dict[str, Any] = {"tf32": given.tf32, "dry_run": given.dry_run}
    if given.dry_run:
        rows = dry_run(given)
    else:
        import torch

        if not torch.cuda.is_available():
            print("no GPU: torch.cuda finds none; --dry-run needs none", file=sys.stderr)
            return 3
        torch.backends.cuda.matmul.allow_tf32 = given.tf32
        torch.backends.cudnn.allow_tf32 = given.tf32
        about.update(gpu=torch.cuda.get_device_name(), torch=torch.__version__)
        rows = [
            row
            for network in given.networks
            for batch in given.batches
            for row in measure(given, network, batch, torch)
        ]
    if given.json is not None:
        given.json.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    print(", ".join(f"{name}: {value}" for name, value in about.items()))
    print(table(rows))
    return int(not all(row["passed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
