"""Latency of a bundle, alone or side by side with onnxruntime.

Contenders take turns in short rounds within one run, in alternating order, so that a busy machine
or a changing clock meets all of them alike. Compare medians of one run, never of two.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Benchmark", "Conditions", "LayerTime", "Timing", "conditions", "time_in_turns"]

#: Runs of each contender before the first that counts.
WARMUP = 5
#: A round of one contender lasts about this long: many inferences of a small model, one of a large.
ROUND_SECONDS = 0.02
#: Measuring ends after this long for each contender, or after :data:`MAX_REPEATS` inferences.
BUDGET_SECONDS = 2.0
MIN_REPEATS = 10
MAX_REPEATS = 2000


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
    """

    engine: str
    threads: int
    warmup: int
    repeats: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float


@dataclass(frozen=True)
class LayerTime:
    """Share of one layer in the latency.

    Attributes:
        name: the first ONNX node it computes.
        op: its operator.
        kernel: the kernel's name.
        median_us: median in microseconds, one inference.
        share: of the sum of all layers.
        gmacs_per_second: thousand million multiply-accumulates in a second; 0 for others.
    """

    name: str
    op: str
    kernel: str
    median_us: float
    share: float
    gmacs_per_second: float


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
        conditions: the machine.
        timings: the bundle's first, for each number of threads, then the other engine's.
        layers: by layer, if asked for; one thread's worth of the first number of threads.
    """

    on: str
    conditions: Conditions
    timings: tuple[Timing, ...]
    layers: tuple[LayerTime, ...] = ()

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


def time_in_turns(
    contenders: Mapping[tuple[str, int], Callable[[], None]],
    *,
    repeats: int | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[Timing, ...]:
    """Time every contender, in turns.

    Args:
        contenders: what runs one inference, by engine and threads.
        repeats: inferences of each that count; None for as many as :data:`BUDGET_SECONDS` allow.
        progress: told the fraction that is done.
    """
    plans = {key: _plan(run, repeats) for key, run in contenders.items()}
    rounds = max((rounds for _, rounds in plans.values()), default=0)
    samples: dict[tuple[str, int], list[int]] = {key: [] for key in contenders}
    order = list(contenders)
    for done in range(1, rounds + 1):
        for key in order:
            run, due = contenders[key], plans[key][0] * done // rounds
            if len(samples[key]) < due:
                run()  # fills caches and wakes threads that the others' turn put to rest
            while len(samples[key]) < due:
                start = time.perf_counter_ns()
                run()
                samples[key].append(time.perf_counter_ns() - start)
        order.reverse()
        progress(done / rounds)
    return tuple(
        _timing(engine, threads, samples[engine, threads]) for engine, threads in contenders
    )


def _plan(run: Callable[[], None], repeats: int | None) -> tuple[int, int]:
    """Warm up; then inferences in all, and the rounds that they fill."""
    elapsed = []
    for _ in range(WARMUP):
        start = time.perf_counter()
        run()
        elapsed.append(time.perf_counter() - start)
    seconds = max(min(elapsed), 1e-7)
    fitting = int(BUDGET_SECONDS / seconds)
    total = repeats if repeats is not None else min(MAX_REPEATS, max(MIN_REPEATS, fitting))
    return total, -(-total // max(1, int(ROUND_SECONDS / seconds)))


def _timing(engine: str, threads: int, samples_ns: Sequence[int]) -> Timing:
    values = np.asarray(samples_ns, dtype=np.float64) / 1e6
    median, p90, p99 = (float(v) for v in np.percentile(values, [50, 90, 99]))
    return Timing(engine, threads, WARMUP, len(values), median, p90, p99, float(values.min()))


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
