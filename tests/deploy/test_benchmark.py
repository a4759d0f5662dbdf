from __future__ import annotations

import dataclasses

import pytest

from edgewright.deploy.bench_machine import Placement, placements, recommend
from edgewright.deploy.bench_versus import WARMUP, take_turns
from edgewright.deploy.benchmark import conditions, make_timing
from edgewright.deploy.boards.report import BoardReport, CpuCluster


def test_contenders_take_turns_and_each_is_measured() -> None:
    order: list[str] = []
    samples = take_turns({name: lambda name=name: order.append(name) for name in "ab"}, 40)  # type: ignore[misc]
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 40, "b": 40}
    assert all(taken > 0 for each in samples.values() for taken in each)
    counted = order[2 * WARMUP :]
    # Twenty rounds of one run to warm up and two that count; the order turns around each time.
    assert counted[:12] == ["a"] * 3 + ["b"] * 6 + ["a"] * 3


def test_a_timing_is_what_its_samples_say() -> None:
    samples = [float(value) for value in range(1, 101)]
    timing = make_timing("edgewright", 2, 3, samples, load_ms=7.0)
    assert (timing.min_ms, timing.max_ms, timing.mean_ms) == (1, 100, 50.5)
    assert (timing.median_ms, timing.p90_ms, timing.p99_ms) == pytest.approx((50.5, 90.1, 99.01))
    assert timing.block_medians_ms == tuple(5.5 + 10 * block for block in range(10))
    assert (timing.repeats, timing.warmup, timing.load_ms) == (100, 3, 7.0)
    assert timing.marks == ("noisy",)
    assert make_timing("edgewright", 1, 0, [1.0, 1.01]).marks == ()


BIG_LITTLE = BoardReport(
    machine="x",
    clusters=(
        CpuCluster("cortex-a55", None, (0, 1), 1800, None, None),
        CpuCluster("cortex-a76", None, (4, 6), 2400, None, None),
    ),
)


def test_a_sweep_tries_every_cluster_and_all_of_them() -> None:
    assert placements(BIG_LITTLE) == (
        Placement(1, "0,1", "cortex-a55"),
        Placement(2, "0,1", "cortex-a55"),
        Placement(1, "4,6", "cortex-a76"),
        Placement(2, "4,6", "cortex-a76"),
        Placement(4),
    )
    one = dataclasses.replace(BIG_LITTLE, clusters=BIG_LITTLE.clusters[:1])
    assert len(placements(one)) == 2
    assert placements(BoardReport(machine="x")) == (Placement(1),)


def test_fewer_threads_are_recommended_where_more_gain_nothing() -> None:
    tried = placements(BIG_LITTLE)
    medians = [40.0, 22.0, 10.2, 10.0, 15.3]
    timings = [
        make_timing("edgewright", placement.threads, 1, [median])
        for placement, median in zip(tried, medians, strict=True)
    ]
    assert recommend(timings, tried) == (
        "Use 1 thread on the CPUs 4,6 (cortex-a76): 10.200 ms. 4 threads take 1.50 times as long."
    )


def test_the_conditions_are_this_machines() -> None:
    found = conditions()
    assert found.cpu
    assert found.cores >= 1
    assert found.governor
