"""A machine's own Python times the bundle and onnxruntime, in turns. It runs on the machine.

    python3 bench_versus.py BUNDLE MODEL.onnx THREADS REPEATS

THREADS is a list such as 1,2,4; REPEATS is 0 for what two seconds allow. Prints one JSON object:
``onnxruntime`` is its version, ``samples`` holds milliseconds by engine and number of threads. Exit
status 4: numpy or onnxruntime is not installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARMUP = 5
ROUNDS = 20
SECONDS = 2.0
MIN_REPEATS = 10
NO_PACKAGE = 4


def read_golden(folder: Path, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The golden inputs as arrays, by name."""
    import numpy as np

    arrays = {}
    for index, spec in enumerate(inputs):
        raw = (folder / "golden" / f"input{index}.bin").read_bytes()
        arrays[spec["name"]] = np.frombuffer(raw, spec["dtype"]).reshape(spec["shape"])
    return arrays


def time_once(run: Callable[[], None]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def open_theirs(path: str, threads: int, arrays: dict[str, Any]) -> Callable[[], None]:
    """What runs onnxruntime once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def take_turns(runs: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each contender; their order turns around after each round."""
    totals = {}
    for name, run in runs.items():
        fastest = max(min(time_once(run) for _ in range(WARMUP)), 1e-3)
        totals[name] = repeats or max(MIN_REPEATS, int(SECONDS * 1e3 / fastest))
    samples: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for turn in range(1, ROUNDS + 1):
        for name in order:
            runs[name]()  # fills the caches that the other's turn has emptied
            while len(samples[name]) < totals[name] * turn // ROUNDS:
                samples[name].append(time_once(runs[name]))
        order.reverse()
    return samples


def main(bundle: str, model: str, threads: str, repeats: str) -> int:
    """Time both engines and print what was measured."""
    try:
        import numpy  # noqa: F401
        import onnxruntime
    except ImportError as error:
        print(error, file=sys.stderr)
        return NO_PACKAGE
    folder = Path(bundle)
    sys.path.insert(0, str(folder / "python"))
    import edgewright_runtime

    arrays = read_golden(folder, json.loads((folder / "manifest.json").read_text())["inputs"])
    samples: dict[str, dict[int, list[float]]] = {}
    for count in [int(part) for part in threads.split(",")]:
        with edgewright_runtime.Model(folder, threads=count) as ours:
            run, _ = ours.bind(arrays)
            runs = {"edgewright": run, "onnxruntime": open_theirs(model, count, arrays)}
            for name, taken in take_turns(runs, int(repeats)).items():
                samples.setdefault(name, {})[count] = taken
    print(
        json.dumps({"onnxruntime": onnxruntime.__version__, "warmup": WARMUP, "samples": samples})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
