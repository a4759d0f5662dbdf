"""Says what changed between two benchmarks, and what is only noise."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.deploy.benchmark import Benchmark, LayerTime, Timing

__all__ = ["Change", "Comparison", "LayerChange", "compare_benchmarks"]

#: Smaller differences are not worth a word, however quiet the machine is.
_LEAST = 0.01
#: Layers are timed without repetition of the whole run: only clear differences count, of layers
#: that have this share of the time.
_LEAST_OF_LAYER = 0.10
_LAYER_SHARE = 0.01


@dataclass(frozen=True)
class Change:
    """One contender in both benchmarks.

    Attributes:
        engine: its name.
        threads: its threads.
        cpus: CPUs that it was kept on; empty for any.
        before_ms: median in the first benchmark.
        after_ms: median in the second.
        ratio: ``after_ms / before_ms``.
        noise: how far the pieces of either run lie from its median, at most, as a share of it.
        verdict: ``faster``, ``slower`` or ``same``. A change counts if no piece of the one run is
            within the pieces of the other, and the medians differ by 1 % at least.
    """

    engine: str
    threads: int
    cpus: str
    before_ms: float
    after_ms: float
    ratio: float
    noise: float
    verdict: str


@dataclass(frozen=True)
class LayerChange:
    """A layer that takes another time.

    Attributes:
        name: the layer.
        before_us: its median in the first benchmark.
        after_us: in the second.
        before_kernel: the kernel's name in the first.
        after_kernel: in the second.
    """

    name: str
    before_us: float
    after_us: float
    before_kernel: str
    after_kernel: str


@dataclass(frozen=True)
class Comparison:
    """Two benchmarks side by side.

    Attributes:
        changes: contenders that both have.
        layers: layers that both have and that differ clearly.
        caveats: why the two may not be comparable.
    """

    changes: tuple[Change, ...]
    layers: tuple[LayerChange, ...]
    caveats: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)


def compare_benchmarks(before: Benchmark, after: Benchmark) -> Comparison:
    """Compare two benchmarks, contender by contender and layer by layer."""
    later = {_key(timing): timing for timing in after.timings}
    changes = [
        _change(timing, later[_key(timing)]) for timing in before.timings if _key(timing) in later
    ]
    return Comparison(tuple(changes), _layers(before, after), _caveats(before, after))


def _key(timing: Timing) -> tuple[str, int, str]:
    return timing.engine.split()[0], timing.threads, timing.cpus


def _change(before: Timing, after: Timing) -> Change:
    ratio = after.median_ms / before.median_ms
    old, new = before.block_medians_ms, after.block_medians_ms
    apart = bool(old) and bool(new) and (max(new) < min(old) or min(new) > max(old))
    verdict = "same"
    if apart and abs(ratio - 1) >= _LEAST:
        verdict = "faster" if ratio < 1 else "slower"
    noise = max(
        (
            abs(block / timing.median_ms - 1)
            for timing in (before, after)
            for block in timing.block_medians_ms
        ),
        default=0.0,
    )
    return Change(
        after.engine,
        after.threads,
        after.cpus,
        before.median_ms,
        after.median_ms,
        ratio,
        noise,
        verdict,
    )


def _layers(before: Benchmark, after: Benchmark) -> tuple[LayerChange, ...]:
    later = _by_occurrence(after.layers)
    found = []
    for key, old in _by_occurrence(before.layers).items():
        new = later.get(key)
        if new is not None and max(old.share, new.share) >= _LAYER_SHARE and _differ(old, new):
            found.append(
                LayerChange(old.name, old.median_us, new.median_us, old.kernel, new.kernel)
            )
    return tuple(sorted(found, key=lambda row: -abs(row.after_us - row.before_us)))


def _by_occurrence(layers: Sequence[LayerTime]) -> dict[tuple[str, int], LayerTime]:
    """Layers by name and number among those of that name: one node may take several launches."""
    seen: Counter[str] = Counter()
    found = {}
    for layer in layers:
        found[layer.name, seen[layer.name]] = layer
        seen[layer.name] += 1
    return found


def _differ(old: LayerTime, new: LayerTime) -> bool:
    largest = max(old.median_us, new.median_us)
    return abs(new.median_us - old.median_us) > _LEAST_OF_LAYER * largest


def _caveats(before: Benchmark, after: Benchmark) -> tuple[str, ...]:
    rows = [
        ("the models", before.model_sha256[:12], after.model_sha256[:12]),
        ("the targets", before.target, after.target),
        ("the processors", before.conditions.cpu, after.conditions.cpu),
        ("the governors", before.conditions.governor, after.conditions.governor),
    ]
    caveats = [f"{what} differ: {old} and {new}" for what, old, new in rows if old != new]
    for name, benchmark in (("first", before), ("second", after)):
        marks = sorted({mark for timing in benchmark.timings for mark in timing.marks})
        if marks:
            caveats.append(f"the {name} is marked {', '.join(marks)}")
    if not {_key(timing) for timing in before.timings} & {_key(t) for t in after.timings}:
        caveats.append("no engine ran with the same number of threads in both")
    return tuple(caveats)
