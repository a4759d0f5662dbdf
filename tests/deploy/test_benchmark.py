from __future__ import annotations

import itertools
import time

from edgewright.deploy.benchmark import WARMUP, conditions, time_in_turns


def test_contenders_take_turns_and_each_is_measured() -> None:
    order: list[str] = []
    fractions: list[float] = []

    def contender(name: str, seconds: float) -> None:
        order.append(name)
        time.sleep(seconds)

    fast, slow = time_in_turns(
        {
            ("edgewright", 1): lambda: contender("a", 0.002),
            ("other", 1): lambda: contender("b", 0.006),
        },
        repeats=24,
        progress=fractions.append,
    )
    assert (fast.engine, fast.repeats, fast.warmup) == ("edgewright", 24, WARMUP)
    assert (slow.engine, slow.repeats) == ("other", 24)
    assert 2 <= fast.min_ms <= fast.median_ms <= fast.p90_ms <= fast.p99_ms
    assert slow.median_ms > fast.median_ms
    turns = sum(1 for before, after in itertools.pairwise(order) if before != after)
    assert turns >= 6  # eight rounds, of which each begins with the one that ended the last
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)


def test_without_a_number_of_repeats_time_decides() -> None:
    (timing,) = time_in_turns({("edgewright", 1): lambda: time.sleep(0.05)})
    assert 10 <= timing.repeats <= 40


def test_the_conditions_are_this_machines() -> None:
    found = conditions()
    assert found.cpu
    assert found.cores >= 1
    assert found.governor
