"""What ``peers.py`` measured, in numbers and as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median

from peer_engines import OURS
from rich.table import Table

from edgewright.report.tables import plain_table

__all__ = ["Comparison", "Latency", "Sample", "result_table", "scaling_table", "summarize"]

#: Numbers that are further than this from onnxruntime's are marked in the tables.
CLOSE_ERROR = 1e-4

#: Wall and CPU milliseconds of one inference.
Sample = tuple[float, float]


@dataclass(frozen=True)
class Latency:
    """One engine on one network.

    A ratio is this engine's number over Edgewright's with as many threads: above 1, Edgewright is
    so many times faster. It is None where Edgewright failed.

    Attributes:
        engine: its name.
        threads: threads it used.
        median_ms: median over all inferences.
        min_ms: the fastest.
        cpu_ms: median CPU time of one inference, which a busy machine disturbs least; threads that
            wait for work by spinning count, so compare it for one thread only.
        repeats: inferences that count.
        ratio: of the medians of a round, in the median round.
        ratio_of_minima: of the fastest inferences.
        ratio_of_cpu: of the CPU times, one thread only.
        error: largest difference from onnxruntime's logits, as a share of the largest logit.
        first_seconds: from nothing to the first logits; conversion not included.
    """

    engine: str
    threads: int
    median_ms: float
    min_ms: float
    cpu_ms: float
    repeats: int
    ratio: float | None
    ratio_of_minima: float | None
    ratio_of_cpu: float | None
    error: float
    first_seconds: float


@dataclass(frozen=True)
class Comparison:
    """All engines on one network.

    Attributes:
        network: its name.
        latencies: those that were timed.
        failures: what went wrong, by engine.
    """

    network: str
    latencies: list[Latency]
    failures: dict[str, str]

    def find(self, engine: str, threads: int) -> Latency | None:
        """That engine's latency, or None if it failed."""
        found = [t for t in self.latencies if (t.engine, t.threads) == (engine, threads)]
        return found[0] if found else None

    def best_peer(self, threads: int, ratio: str = "ratio") -> tuple[str, float] | None:
        """The fastest engine but ours by one of the ratios, and that ratio."""
        peers = [
            (latency.engine, getattr(latency, ratio))
            for latency in self.latencies
            if latency.threads == threads and latency.engine != OURS
        ]
        known = [(engine, value) for engine, value in peers if value is not None]
        return min(known, key=lambda peer: peer[1], default=None)


def summarize(
    rounds: Mapping[tuple[str, int], Sequence[Sequence[Sample]]],
    facts: Mapping[tuple[str, int], tuple[float, float]],
) -> list[Latency]:
    """Latencies of all contenders.

    Args:
        rounds: the inferences of each round, by engine and threads.
        facts: error and seconds to the first logits, by engine and threads.
    """
    latencies = []
    for (engine, threads), turns in rounds.items():
        wall, cpu = _columns(turns)
        ratio = of_minima = of_cpu = None
        ours = rounds.get((OURS, threads))
        if ours is not None:
            our_wall, our_cpu = _columns(ours)
            ratio = median(_wall(t) / _wall(o) for t, o in zip(turns, ours, strict=True))
            of_minima = min(wall) / min(our_wall)
            of_cpu = median(cpu) / median(our_cpu) if threads == 1 else None
        latencies.append(
            Latency(
                engine=engine,
                threads=threads,
                median_ms=median(wall),
                min_ms=min(wall),
                cpu_ms=median(cpu),
                repeats=len(wall),
                ratio=ratio,
                ratio_of_minima=of_minima,
                ratio_of_cpu=of_cpu,
                error=facts[engine, threads][0],
                first_seconds=facts[engine, threads][1],
            )
        )
    return latencies


def _columns(turns: Sequence[Sequence[Sample]]) -> tuple[list[float], list[float]]:
    samples = [sample for turn in turns for sample in turn]
    return [wall for wall, _ in samples], [cpu for _, cpu in samples]


def _wall(turn: Sequence[Sample]) -> float:
    return median(wall for wall, _ in turn)


def result_table(comparisons: Sequence[Comparison], engines: Sequence[str], threads: int) -> Table:
    """Median milliseconds, in brackets times Edgewright's, and the best engine but ours."""
    bests = {"best peer": "ratio", "by minima": "ratio_of_minima", "by CPU time": "ratio_of_cpu"}
    if threads != 1:
        del bests["by CPU time"]
    table = plain_table(
        f"{threads} thread{'s' if threads > 1 else ''}: median ms (times Edgewright's); "
        f"! differs from onnxruntime by more than {CLOSE_ERROR:.0e}",
        "network",
        *engines,
        *bests,
        right=frozenset(range(1, 1 + len(engines) + len(bests))),
    )
    for comparison in comparisons:
        cells = [_cell(comparison.find(engine, threads)) for engine in engines]
        for ratio in bests.values():
            best = comparison.best_peer(threads, ratio)
            cells.append(f"{best[0]} {best[1]:.2f}" if best else "")
        table.add_row(comparison.network, *cells)
    cells = []
    for engine in engines:
        found = [comparison.find(engine, threads) for comparison in comparisons]
        cells.append(_mean([t.ratio for t in found if t and t.ratio is not None], len(comparisons)))
    for ratio in bests.values():
        peers = [comparison.best_peer(threads, ratio) for comparison in comparisons]
        cells.append(_mean([peer[1] for peer in peers if peer], len(comparisons)))
    table.add_row("geometric mean", *cells, style="bold")
    return table


def _cell(latency: Latency | None) -> str:
    if latency is None:
        return "failed"
    ratio = "" if latency.engine == OURS or latency.ratio is None else f" ({latency.ratio:.2f})"
    mark = " !" if latency.error > CLOSE_ERROR else ""
    return f"{latency.median_ms:.2f}{ratio}{mark}"


def _mean(ratios: Sequence[float], expected: int) -> str:
    """Geometric mean, or nothing where a network is missing: means must be of the same ones."""
    return f"{geometric_mean(ratios):.2f}" if len(ratios) == expected and ratios else ""


def scaling_table(
    comparisons: Sequence[Comparison], engines: Sequence[str], threads: Sequence[int]
) -> Table:
    """How many times faster each engine is with more threads: medians, in brackets minima."""
    few, many = min(threads), max(threads)
    table = plain_table(
        f"Times faster on {many} threads than on {few}: medians (minima)",
        "network",
        *engines,
        right=frozenset(range(1, 1 + len(engines))),
    )
    for comparison in comparisons:
        cells = []
        for engine in engines:
            one, all_ = comparison.find(engine, few), comparison.find(engine, many)
            medians = _quotient(one, all_, lambda latency: latency.median_ms)
            minima = _quotient(one, all_, lambda latency: latency.min_ms)
            cells.append(f"{medians} ({minima})" if medians else "failed")
        table.add_row(comparison.network, *cells)
    return table


def _quotient(one: Latency | None, other: Latency | None, value: Callable[[Latency], float]) -> str:
    return f"{value(one) / value(other):.2f}" if one and other else ""
