from __future__ import annotations

import threading
import time

import pytest

from edgewright.deploy.fleet.fleet_file import FleetBoard
from edgewright.deploy.fleet.side_by_side import Tell, side_by_side
from edgewright.deploy.transport.transport import run_program

BOARDS = [FleetBoard(name, f"ssh://{name}") for name in "abc"]


def test_all_at_once_and_in_order() -> None:
    together = threading.Barrier(len(BOARDS), timeout=30)

    def work(board: FleetBoard, tell: Tell) -> str:
        together.wait()  # only threads of all boards at the same time get past it
        time.sleep(0.1 * (ord("c") - ord(board.name)))
        tell(0.5)
        return board.name.upper()

    told: dict[str, float] = {}
    assert side_by_side(BOARDS, work, lambda name, part: told.update({name: part})) == list("ABC")
    assert told == {"a": 0.5, "b": 0.5, "c": 0.5}


def test_no_boards() -> None:
    assert side_by_side([], lambda board, tell: board.name) == []


def test_an_interruption_ends_what_the_threads_wait_for() -> None:
    def work(board: FleetBoard, tell: Tell) -> int:
        return run_program(["sleep", "300"], timeout_seconds=600).status

    def interrupt(name: str, fraction: float) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(BOARDS, work, interrupt)
    assert time.monotonic() < start + 60
    assert threading.active_count() == before


def test_an_interruption_ends_threads_at_their_next_word() -> None:
    left = []

    def work(board: FleetBoard, tell: Tell) -> None:
        try:
            while True:
                tell(0.1)
                time.sleep(0.01)
        except BaseException as error:
            left.append(type(error).__name__)
            raise

    def interrupt(name: str, fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(BOARDS, work, interrupt)
    assert left == ["_Stopped"] * 3
