from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgewright.deploy.benchmark import (
    Benchmark,
    Conditions,
    LayerTime,
    Timing,
    make_timing,
    read_benchmark,
)
from edgewright.deploy.compare_benchmarks import compare_benchmarks
from edgewright.spec.errors import UsageError


def timing(center: float, spread: float, **others: object) -> Timing:
    samples = [center * (1 + spread * ((index * 7) % 10 - 4.5) / 4.5) for index in range(100)]
    ordered = sorted(samples[:50]) + sorted(samples[50:])  # a clock that wanders
    return make_timing("edgewright", 1, 5, ordered, **others)


def benchmark(*timings: Timing, layers: tuple[LayerTime, ...] = ()) -> Benchmark:
    return Benchmark(
        "ssh://pi@board",
        "net",
        "0" * 64,
        "rpi4",
        "edgewright 1",
        Conditions("Cortex-A72", 4, "performance", 1500.0),
        timings,
        layers=layers,
    )


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (timing(10, 0.02), timing(10.1, 0.02), "same"),
        (timing(10, 0.02), timing(9, 0.02), "faster"),
        (timing(10, 0.02), timing(12, 0.02), "slower"),
        (timing(10, 0.30), timing(9, 0.30), "same"),
        (timing(10, 0.0), timing(10.05, 0.0), "same"),
    ],
    ids=["noise", "faster", "slower", "wide-noise", "too-small"],
)
def test_only_what_is_beyond_the_noise_of_both_counts(
    before: Timing, after: Timing, verdict: str
) -> None:
    (change,) = compare_benchmarks(benchmark(before), benchmark(after)).changes
    assert change.verdict == verdict
    assert change.ratio == pytest.approx(after.median_ms / before.median_ms)


def test_layers_are_paired_by_name_and_number() -> None:
    def layer(name: str, us: float, share: float = 0.4) -> LayerTime:
        return LayerTime(name, "Conv", f"k_{name}", us, share, 1.0, 0.5)

    before = benchmark(timing(1, 0), layers=(layer("a", 5), layer("a", 100), layer("b", 3, 0.001)))
    after = benchmark(timing(1, 0), layers=(layer("a", 5.1), layer("a", 50), layer("b", 9, 0.001)))
    (changed,) = compare_benchmarks(before, after).layers
    assert (changed.name, changed.before_us, changed.after_us) == ("a", 100, 50)


def test_what_makes_them_incomparable_is_said() -> None:
    before = benchmark(timing(1, 0, marks=("throttled",)))
    after = dataclasses.replace(
        benchmark(dataclasses.replace(timing(1, 0), threads=2)), target="rpi5"
    )
    caveats = compare_benchmarks(before, after).caveats
    assert "the targets differ: rpi4 and rpi5" in caveats
    assert "the first is marked throttled" in caveats
    assert any("no engine ran with the same number of threads" in caveat for caveat in caveats)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = benchmark(timing(3, 0.1, load_ms=1.5, cpus="4-7"))
    path = tmp_path / "a.json"
    path.write_text(json.dumps(written.to_dict()))
    assert read_benchmark(path) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is no benchmark"),
        ('{"timings": [], "schema_version": 99}', "is no benchmark of this schema"),
        ('{"timings": [], "schema_version": 1}', "lacks"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_benchmark(path)
    assert "a.json" in caught.value.what
