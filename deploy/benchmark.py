"""What a benchmark says: latencies, and everything that they mean nothing without.

The JSON of ``edgewright bench --json`` is :class:`Benchmark`: a field is a key, a tuple a list.
Compare medians of one run, never of two; across runs, :mod:`edgewright.deploy.compare_benchmarks`
says what is beyond the noise of both.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.deploy.machine_state import MachineState
from edgewright.spec.decode import decode
from edgewright.spec.errors import UsageError

__all__ = [
    "BENCHMARK_SCHEMA",
    "Benchmark",
    "Conditions",
    "LayerTime",
    "Timing",
    "conditions",
    "make_timing",
    "read_benchmark",
]

#: Raised by one whenever a reader of the previous version would misread the new one.
BENCHMARK_SCHEMA = 1

#: A run is cut into this many pieces; how far their medians lie apart is its noise.
_BLOCKS = 10
#: A ninth decile this far above the median says that something disturbed the run.
_NOISY = 1.15


@dataclass(frozen=True)
class Timing:
    """Latency of one contender.

    Attributes:
        engine: ``edgewright`` or ``onnxruntime 1.31.1``.
        threads: threads it used.
        warmup: inferences before the first that counts.
        repeats: inferences that count.
        median_ms: median of one inference in milliseconds.
        p90_ms: nine of ten are faster.
        p99_ms: ninety-nine of a hundred are faster.
        min_ms: the fastest.
        max_ms: the slowest.
        mean_ms: their mean.
        block_medians_ms: medians of the run's pieces, in order.
        cpus: CPUs that it was kept on, such as ``4-7``; empty for any.
        load_ms: time to load the library and place the weights; None where it was not measured.
        first_run_ms: the first inference; likewise.
        peak_memory_bytes: most memory of the process; likewise.
        marks: why the numbers should not be trusted: ``noisy``, ``throttled``, ``slow clock``,
            ``busy``, ``virtual machine`` (an emulated time is no latency).
    """

    engine: str
    threads: int
    warmup: int
    repeats: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    max_ms: float
    mean_ms: float
    block_medians_ms: tuple[float, ...] = ()
    cpus: str = ""
    load_ms: float | None = None
    first_run_ms: float | None = None
    peak_memory_bytes: int | None = None
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerTime:
    """Share of one layer in the latency.

    Attributes:
        name: the first ONNX node it computes.
        op: its operator.
        kernel: the kernel's name.
        median_us: median in microseconds, one inference.
        share: of the sum of all layers.
        gflops: thousand million operations in a second, two for a multiply-accumulate; 0 for
            layers without any.
        of_peak: ``gflops`` as a share of what the threads could do at most.
    """

    name: str
    op: str
    kernel: str
    median_us: float
    share: float
    gflops: float
    of_peak: float


@dataclass(frozen=True)
class Conditions:
    """What a latency means nothing without.

    Attributes:
        cpu: the processor's name.
        cores: cores that this process may use.
        governor: the clock's policy, or ``unknown``.
        max_mhz: the highest clock, or 0 if unknown.
    """

    cpu: str
    cores: int
    governor: str
    max_mhz: float


@dataclass(frozen=True)
class Benchmark:
    """Latencies measured in one run.

    Attributes:
        on: where the bundle ran.
        model: the bundle's name.
        model_sha256: hash of the ONNX file that it was compiled from.
        target: the board or core it was compiled for.
        generator: the program that compiled it, with its version.
        conditions: the machine.
        timings: the bundle's first, for each number of threads, then the other engine's.
        states: the machine before, during and after.
        layers: by layer, if asked for, with the first number of threads.
        peak_gflops: operations that one thread can do in a second at most, measured, in thousand
            millions; None without layers.
        profile_cost_ms: what reading the clock around each layer adds; None without layers.
        recommendation: which CPUs and number of threads to use; empty unless several were tried.
        schema_version: :data:`BENCHMARK_SCHEMA` of the writer.
    """

    on: str
    model: str
    model_sha256: str
    target: str
    generator: str
    conditions: Conditions
    timings: tuple[Timing, ...]
    states: tuple[MachineState, ...] = ()
    layers: tuple[LayerTime, ...] = ()
    peak_gflops: float | None = None
    profile_cost_ms: float | None = None
    recommendation: str = ""
    schema_version: int = BENCHMARK_SCHEMA

    def ratio(self, threads: int) -> float | None:
        """How many times faster the bundle is than the other engine, or None if it was not run."""
        ours = [t for t in self.timings if t.threads == threads and t.engine == "edgewright"]
        others = [t for t in self.timings if t.threads == threads and t.engine != "edgewright"]
        return others[0].median_ms / ours[0].median_ms if ours and others else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, ratios included."""
        row = dataclasses.asdict(self)
        threads = sorted({timing.threads for timing in self.timings})
        row["times_faster"] = {str(n): self.ratio(n) for n in threads if self.ratio(n) is not None}
        return row


def read_benchmark(path: Path) -> Benchmark:
    """Read what ``edgewright bench --json`` printed.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """

    def broken(what: str) -> UsageError:
        return UsageError(
            f"'{path}' {what}",
            rule="It is what `edgewright bench --json` printed.",
            remedy="Measure again with this version.",
        )

    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise broken(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not isinstance(raw, dict) or "timings" not in raw:
        raise broken("is no benchmark")
    if raw.get("schema_version") != BENCHMARK_SCHEMA:
        raise broken("is no benchmark of this schema")
    raw.pop("times_faster", None)
    return decode(Benchmark, raw, broken)


def make_timing(
    engine: str, threads: int, warmup: int, samples_ms: Sequence[float], **others: Any
) -> Timing:
    """Statistics of a run.

    Args:
        engine: the contender.
        threads: threads it used.
        warmup: inferences before the first sample.
        samples_ms: one inference each, in the order in which they were measured.
        **others: further fields of :class:`Timing`.
    """
    values = np.asarray(samples_ms, dtype=np.float64)
    median, p90, p99 = (float(v) for v in np.percentile(values, [50, 90, 99]))
    blocks = np.array_split(values, min(_BLOCKS, len(values)))
    marks = ("noisy",) if p90 > _NOISY * median else ()
    return Timing(
        engine,
        threads,
        warmup,
        len(values),
        median,
        p90,
        p99,
        float(values.min()),
        float(values.max()),
        float(values.mean()),
        tuple(float(np.median(block)) for block in blocks),
        **{**others, "marks": (*marks, *others.get("marks", ()))},
    )


def conditions() -> Conditions:
    """This machine, as far as it tells."""
    cpu = platform.machine()
    names = ("model name", "Model", "Hardware")
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in names and value.strip():
            cpu = value.strip()
            break
    policy = "/sys/devices/system/cpu/cpu0/cpufreq"
    clock = _text(f"{policy}/cpuinfo_max_freq").strip()
    return Conditions(
        cpu=cpu,
        cores=len(os.sched_getaffinity(0)),
        governor=_text(f"{policy}/scaling_governor").strip() or "unknown",
        max_mhz=int(clock) / 1000 if clock.isdigit() else 0.0,
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
