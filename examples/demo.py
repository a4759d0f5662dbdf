"""Takes MobileNetV2 the whole way: export, compile for two targets, verify both, benchmark one.

Run it with ``make demo``, or with ``python examples/demo.py [FOLDER]``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import edgewright
from edgewright.models.export import export

NETWORK = "mobilenet_v2"
#: Each target, and where its bundle can run on this machine.
PLACES = {"rpi4": "qemu", "host": "host"}


def main(folder: Path) -> int:
    """Run the demo; the exit status is 1 if a bundle does not agree with onnxruntime."""
    console = Console(width=110)
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"{NETWORK}.onnx"
    console.print(f"Exporting {NETWORK} with seeded weights to {model}")
    export(NETWORK, model)

    table = Table(
        "target", "compiled in", "library", "weights", "parity with onnxruntime", "latency"
    )
    failed = 0
    for target, place in PLACES.items():
        output = folder / f"{NETWORK}-{target}"
        console.print(f"Compiling for {target} into {output}")
        start = time.perf_counter()
        bundle = edgewright.compile(model, target, output=output, force=True)
        seconds = time.perf_counter() - start
        console.print(f"Verifying {target} on {place}")
        parity, passed = verify(bundle, model, place)
        failed += not passed
        latency = bench(bundle, model) if place == "host" else "ask the board: bin/bench"
        sizes = bundle.manifest.files
        table.add_row(
            target,
            f"{seconds:.1f} s",
            f"{sizes[bundle.manifest.library.file].size_bytes / 1024:.0f} KiB",
            f"{sizes['weights.bin'].size_bytes / 2**20:.1f} MiB",
            parity,
            latency,
        )
    console.print(table)
    print_next_steps(console, folder)
    return 1 if failed else 0


def verify(bundle: edgewright.Bundle, model: Path, place: str) -> tuple[str, bool]:
    """The verdict as text, and whether nothing is wrong."""
    try:
        verification = bundle.verify(model, on=place)
    except edgewright.ToolError as error:  # QEMU is absent: the message says how to install it
        return f"not run: {error}", True
    verdict = "passed" if verification.passed else "FAILED"
    return (
        f"{verdict}: {verification.worst_of_largest:.1e} of the largest value",
        verification.passed,
    )


def bench(bundle: edgewright.Bundle, model: Path) -> str:
    """One thread's latency beside onnxruntime's, measured in turns."""
    benchmark = bundle.bench(vs="onnxruntime", model=model)
    ours, theirs = benchmark.timings
    return (
        f"{ours.median_ms:.2f} ms, onnxruntime {theirs.median_ms:.2f} ms "
        f"({benchmark.ratio(1):.2f} times faster)"
    )


def print_next_steps(console: Console, folder: Path) -> None:
    """What to try next, with the commands."""
    pi = folder / f"{NETWORK}-rpi4"
    console.print("\nWhat to try next:", style="bold")
    for what, command in (
        ("see where the time goes", f"edgewright bench {folder / NETWORK}-host --profile"),
        (
            "prove it on a Pi 4",
            f"scp -r {pi} pi@raspberrypi: && ssh pi@raspberrypi {pi.name}/bin/selftest",
        ),
        ("time it there", f"ssh pi@raspberrypi {pi.name}/bin/bench --threads 4"),
        ("compile your own model", "edgewright compile MODEL.onnx --target rpi4"),
        ("know why it does not compile", "edgewright inspect MODEL.onnx"),
    ):
        console.print(f"  {what}:\n    {command}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".demo")))
