"""What is refused before anything is measured, and what is measured again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewright.compiler.tunable import Tunable
from edgewright.deploy.boards.registry import load_board
from edgewright.deploy.tuning import tune as module
from edgewright.deploy.tuning.job import Outcome
from edgewright.deploy.tuning.tune import Tuning, check_conditions, open_records, tune_layers
from edgewright.schedules.records import Excluded, Machine, Measured, Records
from edgewright.schedules.select import candidates
from edgewright.schedules.workload import DenseWorkload
from edgewright.spec.errors import OutputError, RecordsError, TargetError, UsageError
from edgewright.spec.target import CORES, Target, host_target

HOST = host_target()
SMALL = Tunable(DenseWorkload(1, 16, 16), "plain", "small")
LARGE = Tunable(DenseWorkload(1, 64, 64), "plain", "large")
FOREIGN = CORES["cortex-a72" if HOST.arch == "x86_64" else "arm926"]


def checked(target: Target = HOST, **arguments: Any) -> int:
    given = {"board": None, "threads": None, "budget": None, "output": None, **arguments}
    return check_conditions(target, **given)


@pytest.mark.parametrize("target", [FOREIGN, CORES["arm926"]], ids=lambda target: target.name)
def test_a_core_that_is_not_here_is_refused(target: Target) -> None:
    with pytest.raises(TargetError) as caught:
        checked(target)
    text = str(caught.value)
    assert f"kernels for '{target.name}' cannot be timed here" in text
    assert "cannot send kernels to a board" in text
    assert "on the board itself" in text and "compile --records" in text


def test_a_board_is_refused() -> None:
    board = load_board("rpi4")
    with pytest.raises(TargetError, match="kernels for 'rpi4' cannot be timed here"):
        checked(board.target, board=board)


def test_a_lesser_level_of_this_machine_is_measured_here() -> None:
    if HOST.arch != "x86_64":
        pytest.skip("only x86-64 has levels")
    assert checked(replace(HOST, mcpu="x86-64-v2", name="x86-64-v2"), threads=3) == 3
    if HOST.mcpu != "x86-64-v4":
        with pytest.raises(TargetError):
            checked(replace(HOST, mcpu="x86-64-v4"))


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    for budget in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="a budget of"):
            checked(budget=budget)
    for threads in (0, 65):
        with pytest.raises(UsageError, match=f"{threads} threads were asked for"):
            checked(threads=threads)
    for output in (tmp_path, tmp_path / "none" / "records.json"):
        with pytest.raises(OutputError, match="cannot be written"):
            checked(output=output)
    assert 1 <= checked(output=tmp_path / "records.json", budget=1.0) <= HOST.num_cores


def test_records_of_another_processor_are_not_extended(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    Records(Machine("Pentium", 1, "unknown", 0.0, "Linux")).save(path)
    with pytest.raises(RecordsError, match="were measured on 'Pentium', and this is"):
        open_records(path)
    assert open_records(tmp_path / "none.json").records == ()
    assert open_records(None).machine.cores >= 1


class FakeProcess:
    """Measures without a clock; ``log`` holds the layers."""

    log: list[str]
    broken: bool

    def __init__(self, target: Target, threads: int) -> None:
        self.target = target

    def __enter__(self) -> FakeProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def measure(self, tunable: Tunable, seconds: float, tick: Any) -> Outcome:
        tick()
        self.log.append(tunable.layer)
        offers = candidates(tunable.workload, self.target, tunable.input_layout, 2)
        if self.broken:
            return Outcome("", offers[0].name, 0, (), (Excluded(offers[0].name, "is broken"),))
        measured = tuple(
            Measured(o.name, o.algorithm, o.config, 10.4 + i, o.cost) for i, o in enumerate(offers)
        )
        return Outcome(offers[0].name, offers[0].name, 50, measured, ())


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(FakeProcess, "log", found, raising=False)
    monkeypatch.setattr(FakeProcess, "broken", False, raising=False)
    monkeypatch.setattr(module, "MeasuringProcess", FakeProcess)
    return found


def tuned(records: Records, output: Path | None = None, **arguments: Any) -> Tuning:
    given: dict[str, Any] = {
        "threads": 1,
        "budget": None,
        "command": "edgewright tune",
        **arguments,
    }
    layers = [SMALL, LARGE, replace(SMALL, layer="again")]
    return tune_layers(layers, HOST, records, output=output, **given)


def test_workloads_are_measured_once_and_the_largest_first(log: list[str], tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    told: list[tuple[str, float]] = []
    tuning = tuned(
        open_records(path), path, progress=lambda stage, fraction: told.append((stage, fraction))
    )
    assert log == ["large", "small"]
    assert (tuning.measured, tuning.remaining) == (2, 0)
    assert [layer.layer for layer in tuning.layers] == ["small", "large", "again"]
    assert tuning.layers[0].record == tuning.layers[2].record is not None
    assert told == [("tune", 0.0), ("tune", 0.5), ("tune", 1.0)]
    read = Records.load(path)
    assert set(read.records) == set(tuning.records.records)
    (session,) = read.sessions
    assert session.command == "edgewright tune" and session.tvm and session.llvm
    assert session.date.endswith("+00:00")


def test_what_is_known_is_not_measured_again(log: list[str], tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    tuned(open_records(path), path)
    log.clear()
    again = tuned(open_records(path), path)
    assert log == [] and again.measured == 0
    assert all(layer.record is not None for layer in again.layers)
    more = tuned(open_records(path), path, threads=2)
    assert log == ["large", "small"]
    assert {record.threads for record in more.records.records} == {1, 2}
    assert [record.session for record in more.records.records] == [0, 0, 1, 1]


def test_a_new_choice_of_the_model_is_measured(log: list[str]) -> None:
    records = tuned(open_records(None)).records
    (large,) = [record for record in records.records if record.workload == LARGE.key]
    other = replace(large.measured[0], kernel="f32_dense_of_yore")
    old = replace(large, kernel=other.kernel, model_choice=other.kernel, measured=(other,))
    log.clear()
    assert tuned(records.with_record(old)).measured == 1
    assert log == ["large"]


def test_a_spent_budget_leaves_the_rest(
    log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 11.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    path = tmp_path / "records.json"
    tuning = tuned(open_records(path), path, budget=10.0)
    assert log == ["large"]
    assert (tuning.measured, tuning.remaining) == (1, 1)
    assert len(Records.load(path).records) == 1


def test_a_workload_without_a_sound_candidate_has_no_record(
    log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeProcess, "broken", True)
    tuning = tuned(open_records(None))
    assert tuning.records.records == ()
    assert tuning.layers[1].record is None
    assert tuning.layers[1].excluded[0].endswith(": is broken")
