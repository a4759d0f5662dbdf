"""Measured kernels override the cost model, within the limits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from edgewright.schedules.cost import direct_error
from edgewright.schedules.kernel import Limits, Offer, Selection
from edgewright.schedules.names import conv2d_key, dense_key
from edgewright.schedules.records import Measured, Records
from edgewright.schedules.select import candidates, select_conv2d, select_dense
from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload
from edgewright.spec.target import CORES, Target
from tests.schedules.execution import TARGETS
from tests.schedules.tuning_records import A72, LAYER, record, records

OFFERS = candidates(LAYER, A72, "blocked", 12)
MODEL = OFFERS[0]
DIRECT = [offer for offer in OFFERS if offer.algorithm == "direct"]
WINOGRAD = [offer for offer in OFFERS if offer.algorithm == "winograd"]


def select(known: Records, limits: Limits = Limits()) -> Selection:  # noqa: B008 - frozen
    return select_conv2d(LAYER, A72, limits, records=known)


def name_and_reason(selection: Selection) -> tuple[str, str]:
    assert selection.kernel is not None
    return selection.kernel.name, selection.kernel.reason


def note(selection: Selection) -> str:
    """Why the records did not count."""
    return "; ".join(d.reason for d in selection.declined if d.family == "records")


def test_the_fastest_of_the_measured_kernels_is_taken() -> None:
    assert MODEL is WINOGRAD[0]
    known = records(record({MODEL: 14_100.0, DIRECT[1]: 12_345.0, DIRECT[0]: 20_000.0}, MODEL))
    selection = select(known)
    name, reason = name_and_reason(selection)
    assert name == DIRECT[1].name
    assert reason.endswith("; measured: 12.3 us, model's choice 14.1 us")
    declined = {d.family: d.reason for d in selection.declined}
    assert declined["winograd"] == "14.1 us measured, direct 12.3 us"
    assert "records" not in declined


def test_the_model_may_be_right() -> None:
    known = records(record({MODEL: 250_000.0, DIRECT[0]: 300_000.0}, MODEL))
    name, reason = name_and_reason(select(known))
    assert name == MODEL.name
    assert reason.endswith("; measured: 250 us, the model's choice too")


def test_a_forced_algorithm_stays_forced() -> None:
    times = {MODEL: 10_000.0, DIRECT[0]: 30_000.0, DIRECT[2]: 20_000.0}
    name, reason = name_and_reason(select(records(record(times, MODEL)), Limits("direct")))
    assert name == DIRECT[2].name
    assert reason.endswith("; asked for; measured: 20 us, model's choice 30 us")


def test_the_limits_hold_for_measured_kernels() -> None:
    times = {WINOGRAD[1]: 10_000.0, DIRECT[0]: 30_000.0, DIRECT[2]: 20_000.0}
    known = records(record(times, MODEL))
    assert name_and_reason(select(known))[0] == WINOGRAD[1].name
    exact = Limits(max_error=direct_error(64 * 9) / 10)
    assert name_and_reason(select(known, exact))[0] == DIRECT[2].name
    small = Limits(max_workspace_bytes=WINOGRAD[1].scratch_bytes - 1)
    assert name_and_reason(select(known, small))[0] != WINOGRAD[1].name


def test_a_winner_out_of_the_limits_leaves_the_choice_to_the_model() -> None:
    known = records(record({WINOGRAD[1]: 10_000.0, MODEL: 30_000.0}, MODEL))
    selection = select(known, Limits("direct"))
    assert name_and_reason(selection) == (DIRECT[0].name, name_and_reason(selection)[1])
    assert name_and_reason(selection)[1].endswith("; asked for")
    assert note(selection) == (
        f"the measured winner, {WINOGRAD[1].name}, may not be used here or is no longer offered"
    )


def test_a_kernel_of_another_version_is_ignored() -> None:
    old = replace(DIRECT[0], name="f32_conv2d_direct_of_yore")
    stale = select(records(record({old: 1_000.0, WINOGRAD[1]: 9_000.0}, old)))
    assert name_and_reason(stale)[0] == MODEL.name
    assert "of_yore, may not be used here or is no longer offered" in note(stale)
    # The model's choice was measured beside it: what is left of the record is better than a guess.
    half = record({old: 1_000.0, WINOGRAD[1]: 8_000.0, MODEL: 9_000.0}, MODEL)
    assert name_and_reason(select(records(half)))[0] == WINOGRAD[1].name


def test_a_winner_is_taken_though_the_model_has_changed_its_mind() -> None:
    known = records(record({DIRECT[1]: 5_000.0, DIRECT[2]: 9_000.0}, DIRECT[2]))
    name, reason = name_and_reason(select(known))
    assert name == DIRECT[1].name
    assert reason.endswith("measured: 5 us, the model's choice was not measured")


def test_records_of_another_core_or_workload_are_ignored_with_a_reason() -> None:
    elsewhere = record({DIRECT[1]: 5.0}, DIRECT[1], target=CORES["cortex-a53"])
    selection = select(records(elsewhere))
    assert name_and_reason(selection)[0] == MODEL.name
    assert note(selection).startswith("measured for cortex-a53")
    other = record({DIRECT[1]: 5.0}, DIRECT[1], workload=replace(LAYER, in_h=15))
    assert note(select(records(other))) == "this workload was not measured"
    assert note(select_conv2d(LAYER, A72)) == ""


def test_layouts_have_records_of_their_own() -> None:
    stem = Conv2dWorkload(1, 3, 32, 32, 16, 3, 3, 2, 2, 1, 1, 1, 1)
    assert conv2d_key(stem, "NCHW") != conv2d_key(stem, "blocked")
    plain = candidates(stem, A72, "NCHW", 4)
    entry = replace(record({plain[3]: 5.0}, plain[0]), workload=conv2d_key(stem, "NCHW"))
    chosen = select_conv2d(stem, A72, Limits(), "NCHW", records(entry)).kernel
    assert chosen is not None and chosen.name == plain[3].name
    chosen = select_conv2d(stem, A72, Limits(), "blocked", records(entry)).kernel
    assert chosen is not None and "_nchw_" not in chosen.name


def test_dense_layers_follow_records_too() -> None:
    layer = DenseWorkload(1, 512, 1000)
    offers = candidates(layer, A72, "plain", 4)
    entry = replace(
        record({offers[0]: 9_000.0, offers[2]: 5_000.0}, offers[0]), workload=dense_key(layer)
    )
    kernel = select_dense(layer, A72, records=records(entry)).kernel
    assert kernel is not None
    assert kernel.name == offers[2].name and "measured: 5 us" in kernel.reason


WORKLOADS = [
    LAYER,
    replace(LAYER, groups=64),
    replace(LAYER, groups=4),
    Conv2dWorkload(1, 24, 28, 28, 144, 1, 1),
    Conv2dWorkload(1, 3, 32, 32, 16, 3, 3, 2, 2, 1, 1, 1, 1),
    DenseWorkload(3, 100, 70),
]


@pytest.mark.parametrize(
    "target", [*CORES.values(), *TARGETS], ids=lambda t: f"{t.name}{t.isa.name}"
)
def test_candidates_have_names_of_their_own(target: Target) -> None:
    for workload in WORKLOADS:
        found = candidates(workload, target, "blocked", 8)
        names = [offer.name for offer in found]
        assert len(set(names)) == len(names)
        for offer in found:
            assert offer.config and offer.config in offer.name
            assert re.fullmatch(r"f32_[a-z0-9_]+", offer.name)
        best = {offer.algorithm: offer for offer in reversed(found)}
        assert found[0] is min(best.values(), key=lambda offer: offer.cost)


def test_names_tell_code_apart() -> None:
    """What is one name in a record is one kernel; another name is other code."""

    def scripts(offers: list[Offer]) -> list[str]:
        found = []
        for offer in offers:
            kernel = offer.build()
            assert kernel.name == offer.name
            found.append(kernel.prim_func.script().replace(offer.name, "kernel"))
        return found

    for workload in (WORKLOADS[1], WORKLOADS[3], WORKLOADS[5]):
        first = scripts(candidates(workload, A72, "blocked", 5))
        assert len(set(first)) == len(first)
        assert first == scripts(candidates(workload, A72, "blocked", 5))


def test_a_record_ranks_what_was_measured() -> None:
    entry = record({DIRECT[0]: 3.0, DIRECT[1]: 1.0, DIRECT[2]: 2.0}, DIRECT[0])
    assert [m.kernel for m in entry.measured] == [DIRECT[i].name for i in (1, 2, 0)]
    assert entry.median_ns(DIRECT[2].name) == 2.0
    assert entry.median_ns("none") is None
    assert isinstance(entry.measured[0], Measured) and entry.gain == 3.0
