"""Candidates are compiled, checked against the model's choice, and timed by the C runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewright.compiler.tunable import Tunable
from edgewright.deploy.toolchain import Toolchain, compile_runtime, open_toolchain
from edgewright.deploy.tuning import measure as module
from edgewright.deploy.tuning.candidate_library import F32
from edgewright.deploy.tuning.job import Began, Ended, Job, Outcome, Reply
from edgewright.deploy.tuning.measure import measure
from edgewright.schedules.kernel import Kernel, Offer
from edgewright.schedules.select import candidates
from edgewright.schedules.workload import Activation, Conv2dWorkload, DenseWorkload, Epilogue
from edgewright.spec.target import host_target

HOST = host_target()
FUSED = Epilogue(bias=True, residual=True, activation=Activation("relu"))
LAYER = Conv2dWorkload(1, 20, 14, 14, 33, 3, 3, 1, 1, 1, 1, 1, 1, epilogue=FUSED)


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toolchain, list[str]]:
    toolchain = open_toolchain(HOST)
    return toolchain, compile_runtime(toolchain, tmp_path_factory.mktemp("c") / "runtime")


Measure = Callable[..., Outcome]


@pytest.fixture
def measured(
    linker: tuple[Toolchain, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Measure:
    """Measures a workload for a moment; ``change`` changes the offers."""

    def run(
        workload: Conv2dWorkload | DenseWorkload,
        layout: str = "blocked",
        *,
        threads: int = 1,
        change: Callable[[list[Offer]], list[Offer]] = lambda offers: offers,
        say: Callable[[Reply], None] = lambda reply: None,
    ) -> Outcome:
        offers = change(candidates(workload, HOST, layout, 3))
        monkeypatch.setattr(module, "candidates", lambda *arguments: offers)
        tunable = Tunable(workload, layout, "layer")
        job = Job(tunable, HOST, threads, frozenset(), False, 0.02, str(tmp_path / "job"))
        return measure(job, *linker, say)

    return run


@pytest.mark.parametrize("threads", [1, 2])
def test_every_family_is_measured_and_agrees(measured: Measure, threads: int) -> None:
    offers = candidates(LAYER, HOST, "blocked", 3)
    assert len({offer.algorithm for offer in offers}) >= 2
    outcome = measured(LAYER, threads=threads)
    assert outcome.excluded == ()
    assert {entry.kernel for entry in outcome.measured} == {offer.name for offer in offers}
    assert outcome.model_choice == offers[0].name
    times = [entry.median_ns for entry in outcome.measured]
    assert times == sorted(times) and times[0] > 0
    assert outcome.rounds >= 20
    assert outcome.kernel in {entry.kernel for entry in outcome.measured}


@pytest.mark.parametrize(
    ("workload", "layout"),
    [
        (Conv2dWorkload(2, 3, 12, 12, 20, 3, 3, 2, 2, 1, 1, 1, 1), "NCHW"),
        (Conv2dWorkload(1, 24, 9, 9, 24, 3, 3, 1, 1, 1, 1, 1, 1, groups=24), "blocked"),
        (Conv2dWorkload(1, 24, 9, 9, 40, 1, 1, epilogue=Epilogue(residual=True)), "blocked"),
        (DenseWorkload(3, 40, 70, FUSED), "plain"),
    ],
    ids=["stem", "depthwise", "residual", "dense"],
)
def test_every_kind_of_layer(
    measured: Measure, workload: Conv2dWorkload | DenseWorkload, layout: str
) -> None:
    outcome = measured(workload, layout)
    assert outcome.excluded == ()
    assert len(outcome.measured) >= 2


def test_a_candidate_with_wrong_numbers_is_excluded(measured: Measure) -> None:
    def wrong(offers: list[Offer]) -> list[Offer]:
        def build() -> Kernel:
            kernel = offers[1].build()
            pack = kernel.pack_weights
            assert pack is not None

            def doubled(weights: F32) -> F32:
                packed: F32 = pack(weights) * np.float32(1.001)
                return packed

            return replace(kernel, pack_weights=doubled)

        return [offers[0], replace(offers[1], build=build), *offers[2:]]

    outcome = measured(LAYER, change=wrong)
    (excluded,) = outcome.excluded
    assert excluded.kernel == candidates(LAYER, HOST, "blocked", 3)[1].name
    assert "its numbers are wrong" in excluded.reason and "are outside 0.0001" in excluded.reason
    assert excluded.kernel not in {entry.kernel for entry in outcome.measured}


def test_nothing_is_left_if_the_reference_is_no_number(measured: Measure) -> None:
    def broken(offers: list[Offer]) -> list[Offer]:
        def build() -> Kernel:
            def nothing(weights: F32) -> F32:
                assert kernel.pack_weights is not None
                return np.full_like(kernel.pack_weights(weights), np.nan)

            kernel = offers[0].build()
            return replace(kernel, pack_weights=nothing)

        return [replace(offers[0], build=build), *offers[1:]]

    outcome = measured(LAYER, change=broken)
    assert outcome.measured == () and outcome.kernel == ""
    assert all("holds nan" in entry.reason for entry in outcome.excluded)


def test_a_candidate_that_does_not_compile_is_excluded(measured: Measure) -> None:
    def failing(offers: list[Offer]) -> list[Offer]:
        def build() -> Kernel:
            raise RuntimeError("no such\n register")

        return [*offers[:-1], replace(offers[-1], build=build)]

    outcome = measured(LAYER, change=failing)
    (excluded,) = outcome.excluded
    assert excluded.reason == "does not compile (RuntimeError: no such register)"
    assert outcome.measured


def test_what_may_end_the_process_is_told(measured: Measure) -> None:
    said: list[Reply] = []
    outcome = measured(LAYER, say=said.append)
    names = [entry.kernel for entry in outcome.measured]
    for runs in (False, True):
        assert sorted(r.kernel for r in said if isinstance(r, Began) and r.runs is runs) == sorted(
            names
        )
    assert sum(isinstance(reply, Ended) for reply in said) == 2 * len(names)


def test_a_gain_within_the_noise_keeps_the_model_s_choice() -> None:
    from edgewright.schedules.records import Measured

    def times(**values: float) -> list[Measured]:
        entries = [Measured(name, "direct", "", ns, 1.0) for name, ns in values.items()]
        return sorted(entries, key=lambda entry: entry.median_ns)

    assert module._winner(times(model=100.0, other=99.0), "model") == "model"
    assert module._winner(times(model=100.0, other=97.0), "model") == "other"
    assert module._winner(times(other=99.0, third=98.0), "model") == "third"
    assert module._winner([], "model") == ""
