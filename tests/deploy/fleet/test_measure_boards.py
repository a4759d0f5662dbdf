"""What becomes of bundles on one board; whole fleets are in test_bench_fleet.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.deploy.boards.board_report import BoardReport
from edgewright.deploy.fleet.fleet_file import BenchOptions, FleetBoard
from edgewright.deploy.fleet.fleet_result import BoardResult, LostBoard
from edgewright.deploy.fleet.measure_boards import ask_target, measure_board
from edgewright.spec.errors import UnreachableError

HERE = FleetBoard("here", "host")


def test_a_board_without_a_target_is_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(machine: object) -> BoardReport:
        return BoardReport("host", compatible=("raspberrypi,4-model-b", "brcm,bcm2711"))

    monkeypatch.setattr("edgewright.deploy.fleet.measure_boards.read_report", answer)
    told: list[float] = []
    assert ask_target(HERE, told.append) == "rpi4"
    assert ask_target(FleetBoard("here", "host", "rpi3"), told.append) == "rpi3"
    assert told == [1.0, 1.0]


def test_this_machine_is_the_host_where_no_entry_describes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = BoardReport("host", compatible=("acme,toaster",))
    monkeypatch.setattr(
        "edgewright.deploy.fleet.measure_boards.read_report", lambda machine: report
    )
    assert ask_target(HERE, lambda fraction: None) == "host"


def test_progress_grows_over_all_bundles(host_bundle: Path) -> None:
    told: list[float] = []
    rows = measure_board(
        HERE, "host", [host_bundle, host_bundle], BenchOptions(repeats=5), told.append
    )
    assert [type(row) for row in rows] == [BoardResult, BoardResult]
    assert told == sorted(told)
    assert told[-1] == 1.0 and any(0 < fraction < 0.5 for fraction in told)


def test_a_board_that_is_gone_is_not_waited_for_twice(
    host_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def lose(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        raise UnreachableError("the connection to ssh://pi was lost")

    monkeypatch.setattr("edgewright.deploy.fleet.measure_boards.bench_bundle", lose)
    rows = measure_board(
        HERE, "host", [host_bundle, host_bundle], BenchOptions(), lambda fraction: None
    )
    assert len(calls) == 1
    reason = "the connection to ssh://pi was lost."
    assert rows == [LostBoard("here", "host", "host", "fake", "measure", reason)] * 2


def test_a_defect_loses_its_board_only(host_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise KeyError("latency")

    monkeypatch.setattr("edgewright.deploy.fleet.measure_boards.bench_bundle", fail)
    (row,) = measure_board(HERE, "host", [host_bundle], BenchOptions(), lambda fraction: None)
    assert isinstance(row, LostBoard)
    assert "KeyError: 'latency'. This is a defect of Edgewright" in row.reason
