"""Builds reference networks for GPUs and checks what can be without one.

    python benchmarks/cuda_build.py                    # every network, sm_87 and sm_90
    python benchmarks/cuda_build.py lenet5 ds_cnn --json build.json

Each network is compiled for an Orin (sm_87, aarch64) and a data-centre GPU (sm_90, x86-64): every
kernel compiles, no launch exceeds what the architecture allows. The one whose host is this
machine's architecture then runs on the emulated GPU, against onnxruntime's numbers. The times are
those of building and of emulation, never latencies. The exit status is 1 if something failed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import edgewright
from edgewright.deploy.bundle import read_bundle
from edgewright.deploy.cuda.device_report import read_report
from edgewright.models.export import export
from edgewright.models.registry import list_models
from edgewright.spec.errors import EdgewrightError

TARGETS = ("cuda:sm_87:aarch64", "cuda:sm_90:x86_64")


def build(network: str, target: str, folder: Path) -> dict[str, Any]:
    """One row: sizes, times and figures of the device code; ``error`` if something failed."""
    row: dict[str, Any] = {"network": network, "target": target, "error": ""}
    model = folder / f"{network}.onnx"
    try:
        if not model.exists():
            export(network, model)
        begin = time.perf_counter()
        bundle = edgewright.compile(model, target)
        row["compile_seconds"] = time.perf_counter() - begin
        report = read_report(read_bundle(bundle.path))
        row.update(
            launches=len(report.launches),
            kernels=len(report.kernels),
            most_registers=max(kernel.registers for kernel in report.kernels),
            spilling=sum(kernel.spill_store_bytes > 0 for kernel in report.kernels),
            bytes_without_weights=sum(
                entry.size_bytes
                for name, entry in bundle.manifest.files.items()
                if name != "weights.bin" and not name.startswith("golden/")
            ),
        )
        if bundle.manifest.target.arch == platform.machine():
            begin = time.perf_counter()
            verification = bundle.verify(on="emulated-gpu")
            row["emulated_seconds"] = time.perf_counter() - begin
            row["of_largest"] = verification.worst_of_largest
            verification.check()
    except EdgewrightError as error:
        row["error"] = str(error)
    return row


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows as people read them."""
    made = Table(title="Networks for GPUs, without a GPU", title_justify="left", box=None)
    for column in ("network", "target", "launches", "registers", "spills", "KiB", "compile s"):
        made.add_column(column)
    made.add_column("emulated s")
    made.add_column("of largest")
    for row in rows:
        if row["error"]:
            made.add_row(row["network"], row["target"], f"[red]{row['error'][:90]}")
            continue
        emulated = "of_largest" in row
        made.add_row(
            *(row["network"], row["target"], str(row["launches"]), str(row["most_registers"])),
            *(str(row["spilling"]), str(row["bytes_without_weights"] // 1024)),
            f"{row['compile_seconds']:.1f}",
            f"{row['emulated_seconds']:.1f}" if emulated else "-",
            f"{row['of_largest']:.1e}" if emulated else "-",
        )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Build, check, print."""
    parser = argparse.ArgumentParser(
        prog="cuda_build.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("networks", nargs="*", default=[m.name for m in list_models("network")])
    parser.add_argument("--targets", default=",".join(TARGETS), help="default: %(default)s")
    parser.add_argument("--json", type=Path, default=None, help="write the rows to this file")
    given = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for network in given.networks:
            for target in given.targets.split(","):
                rows.append(build(network, target, Path(folder)))
                print(network, target, rows[-1]["error"] or "built", file=sys.stderr, flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2, sort_keys=True) + "\n")
    Console(width=160).print(table(rows))
    return int(any(row["error"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
