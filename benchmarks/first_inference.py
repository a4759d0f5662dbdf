"""Times what an application waits for once: a model's load and its first inference.

    python benchmarks/first_inference.py                      # MobileNetV2
    python benchmarks/first_inference.py resnet50 my.onnx --rounds 9 --json

Edgewright's bundle and onnxruntime take turns, each time in a fresh process on one thread; the
start of the process and of Python is not counted. Files are in the page cache for both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import edgewright
from edgewright.models.export import export

#: Run in a fresh Python; prints milliseconds.
_ONNXRUNTIME = """
import sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
begin = time.perf_counter()
session = onnxruntime.InferenceSession(sys.argv[1], options, ["CPUExecutionProvider"])
inputs = {
    each.name: np.full(each.shape, 0.5, np.dtype(each.type[7:-1].replace("float", "float32")))
    for each in session.get_inputs()
}
session.run(None, inputs)
print((time.perf_counter() - begin) * 1e3)
"""


@dataclass(frozen=True)
class Row:
    """Medians of one network, in milliseconds."""

    network: str
    edgewright_ms: float
    onnxruntime_ms: float
    times_faster: float


def bundle_ms(bundle: Path) -> float:
    """Load and first inference of a bundle, by its own ``bench``."""
    command = [str(bundle / "bin" / "bench"), "--threads", "1", "--warmup", "0", "--repeats", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    return float(report["load_ms"] + report["first_run_ms"])


def onnxruntime_ms(model: Path) -> float:
    """Load and first inference by onnxruntime."""
    command = [sys.executable, "-c", _ONNXRUNTIME, str(model)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(network: str, rounds: int, folder: Path) -> Row:
    """Measures one network, a reference network's name or an ONNX file."""
    model = Path(network)
    if model.suffix != ".onnx":
        model = folder / f"{network}.onnx"
        export(network, model)
    bundle = folder / f"bundle_{model.stem}"
    edgewright.compile(model, "host", output=bundle)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(bundle_ms(bundle))
        theirs.append(onnxruntime_ms(model))
    mine, other = statistics.median(ours), statistics.median(theirs)
    return Row(network, mine, other, other / mine)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=["mobilenet_v2"], help="names or files")
    parser.add_argument("--rounds", type=int, default=9, help="processes of each engine")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        rows = [measure(network, options.rounds, Path(name)) for network in options.networks]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(
        f"{'load and first inference, ms':30} {'edgewright':>10} {'onnxruntime':>11} {'times':>6}"
    )
    for row in rows:
        print(
            f"{row.network:30} {row.edgewright_ms:10.2f} {row.onnxruntime_ms:11.2f} "
            f"{row.times_faster:6.1f}"
        )


if __name__ == "__main__":
    main()
