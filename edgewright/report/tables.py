"""Results as tables for a terminal. Numbers come with their unit; nothing is computed here."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from edgewright.compiler.verify.verification import Verification
    from edgewright.deploy.benchmark import Benchmark
    from edgewright.deploy.manifest import Manifest

__all__ = [
    "benchmark_table",
    "format_bytes",
    "kernel_table",
    "layer_table",
    "plain_table",
    "size_table",
    "stage_table",
    "verification_table",
]


def plain_table(title: str, *columns: str, right: frozenset[int] = frozenset()) -> Table:
    """A table without frame lines between rows; columns in ``right`` hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in right else "left", overflow="fold")
    return table


def format_bytes(count: int) -> str:
    """A size with three digits and a binary unit: ``512 B``, ``13.4 MiB``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"


def stage_table(seconds: dict[str, float]) -> Table:
    """How long each stage of a compilation took."""
    table = plain_table("Stages", "stage", "seconds", right=frozenset({1}))
    for stage, elapsed in seconds.items():
        table.add_row(stage, f"{elapsed:.2f}")
    table.add_row("total", f"{sum(seconds.values()):.2f}", style="bold")
    return table


def kernel_table(manifest: Manifest) -> Table:
    """The kernels by family: the part of a kernel's name before its tile."""
    families: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for layer in manifest.layers:
        row = families[_family(layer.kernel)]
        row[0] += 1
        row[1] += layer.macs
    table = plain_table("Kernels", "family", "launches", "MMACs", right=frozenset({1, 2}))
    for family, (launches, macs) in sorted(families.items(), key=lambda item: -item[1][1]):
        table.add_row(family, str(launches), f"{macs / 1e6:.1f}" if macs else "")
    return table


def _family(kernel: str) -> str:
    """``f32_conv2d_direct`` of ``f32_conv2d_direct_oc8ow6__neon``; without ``__``, a rule's."""
    stem, mark, _ = kernel.partition("__")
    if not mark:
        return "copy" if kernel == "copy" else "scheduled by rule"
    dtype, *parts = stem.split("_")
    words = itertools.takewhile(lambda part: re.fullmatch(r"[a-z]+(2d)?", part), parts)
    return "_".join((dtype, *words))


def size_table(manifest: Manifest) -> Table:
    """What the bundle takes on disk and in memory."""
    table = plain_table("Sizes", "what", "size", right=frozenset({1}))
    for name, entry in manifest.files.items():
        if name.startswith(("lib/", "bin/")) or name == "weights.bin":
            table.add_row(name, format_bytes(entry.size_bytes))
    memory = manifest.memory
    table.add_row("memory: activations", format_bytes(memory.arena_bytes))
    table.add_row("memory: scratch of each thread", format_bytes(memory.scratch_bytes))
    table.add_row("memory: weights", format_bytes(memory.weights_bytes))
    return table


def verification_table(verification: Verification) -> Table:
    """Each output of each case, with what would pass."""
    table = plain_table(
        f"Parity on {verification.on}; tolerance {verification.tolerance}",
        "inputs",
        "output",
        "max error",
        "of largest",
        "at",
        "would pass",
        "",
        right=frozenset({2, 3}),
    )
    for case in verification.cases:
        for row in case.outputs:
            passing = f"atol {row.passing_atol:.2g} or rtol {row.passing_rtol:.2g}"
            table.add_row(
                case.name,
                row.name,
                f"{row.max_abs:.2e}",
                f"{row.of_largest:.2e}",
                str(list(row.worst_index)),
                passing if row.elems else "",
                "pass" if row.passed else f"FAIL: {row.reason}",
                style=None if row.passed else "red",
            )
    return table


def benchmark_table(benchmark: Benchmark) -> Table:
    """Latencies, with the conditions that they hold under."""
    machine = benchmark.conditions
    clock = f", {machine.max_mhz:.0f} MHz at most" if machine.max_mhz else ""
    table = plain_table(
        f"Latency on {benchmark.on}: {machine.cpu}, {machine.cores} cores, governor "
        f"{machine.governor}{clock}",
        "engine",
        "threads",
        "median ms",
        "p90 ms",
        "p99 ms",
        "load ms",
        "first ms",
        "memory",
        "repeats",
        "times faster",
        "marks",
        right=frozenset(range(1, 10)),
    )
    for timing in benchmark.timings:
        ratio = benchmark.ratio(timing.threads) if timing.engine == "edgewright" else None
        table.add_row(
            timing.engine,
            str(timing.threads) + (f" on {timing.cpus}" if timing.cpus else ""),
            f"{timing.median_ms:.3f}",
            f"{timing.p90_ms:.3f}",
            f"{timing.p99_ms:.3f}",
            f"{timing.load_ms:.1f}" if timing.load_ms is not None else "",
            f"{timing.first_run_ms:.3f}" if timing.first_run_ms is not None else "",
            format_bytes(timing.peak_memory_bytes) if timing.peak_memory_bytes else "",
            str(timing.repeats),
            f"{ratio:.2f}" if ratio is not None else "",
            ", ".join(timing.marks),
        )
    return table


def layer_table(benchmark: Benchmark) -> Table:
    """Time of each layer, in the order they run."""
    table = plain_table(
        f"Layers; one thread reaches {benchmark.peak_gflops or 0:.1f} GFLOP/s, and reading the "
        f"clock adds {benchmark.profile_cost_ms or 0:.3f} ms",
        "layer",
        "kernel",
        "median us",
        "share",
        "GFLOP/s",
        "of peak",
        right=frozenset({2, 3, 4, 5}),
    )
    for layer in benchmark.layers:
        table.add_row(
            layer.name,
            layer.kernel,
            f"{layer.median_us:.1f}",
            f"{layer.share:.1%}",
            f"{layer.gflops:.1f}" if layer.gflops else "",
            f"{layer.of_peak:.0%}" if layer.gflops else "",
        )
    return table
