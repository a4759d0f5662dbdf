"""`edgewright bench --on ssh://…` on a board, and when the board goes away meanwhile."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.board.cut_connection import CutConnection
from tests.board.edgewright_command import assert_refused, bundle_at, edgewright
from tests.board.emulated_board import EmulatedBoard

ENDLESS = ("--repeats", "1000000")


@pytest.fixture
def place(board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path) -> str:
    """Where the shared board has LeNet-5."""
    board.send(lenet5_rpi4, board_folder)
    return board_folder


def until_bench_runs(board: EmulatedBoard, *, runs: bool = True) -> None:
    """Wait until the program ``bench`` runs on a board, or no longer does."""
    found = "until" if runs else "while"
    board.shell(f"{found} pgrep -x bench >/dev/null; do sleep 0.2; done", timeout_seconds=60)


def test_a_benchmark_says_where_and_how_it_was_measured(
    board: EmulatedBoard, place: str, lenet5_rpi4: Path
) -> None:
    address = board.address(place)
    options = ("--on", address, "--repeats", "200", "--threads", "1,2", "--profile", "--json")
    done = edgewright("bench", lenet5_rpi4, *options, access=board.access)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["on"] == board.address()
    assert {state["when"] for state in report["states"]} == {"before", "during", "after"}
    assert [timing["threads"] for timing in report["timings"]] == [1, 2]
    for timing in report["timings"]:
        assert 0 < timing["min_ms"] <= timing["median_ms"] <= timing["p90_ms"] <= timing["max_ms"]
        assert timing["load_ms"] > 0 and timing["first_run_ms"] > 0
    assert len(report["layers"]) > 0


def test_a_connection_cut_during_the_benchmark_is_named(
    board: EmulatedBoard, place: str, lenet5_rpi4: Path
) -> None:
    with CutConnection(board.port) as network, ThreadPoolExecutor() as aside:
        address = f"ssh://root@127.0.0.1:{network.port}{place}"
        options = ("--on", address, *ENDLESS)
        measuring = aside.submit(edgewright, "bench", lenet5_rpi4, *options, access=board.access)
        until_bench_runs(board)
        network.cut()
        lost = measuring.result(timeout=60)
    assert_refused(lost, f"127.0.0.1:{network.port}", "lost")
    assert bundle_at(board, place, lenet5_rpi4) == lenet5_rpi4
    # What nobody waits for must not disturb the next measurement.
    until_bench_runs(board, runs=False)


def test_a_board_that_loses_power_during_the_benchmark_is_named(
    breakable_board: EmulatedBoard, lenet5_rpi4: Path
) -> None:
    own = breakable_board
    with ThreadPoolExecutor() as aside:
        options = ("--on", own.address(), *ENDLESS)
        measuring = aside.submit(edgewright, "bench", lenet5_rpi4, *options, access=own.access)
        until_bench_runs(own)
        began = time.monotonic()
        own.kill()
        lost = measuring.result(timeout=60)
    assert time.monotonic() - began < 45
    own.start()
    assert_refused(lost, f"127.0.0.1:{own.port}")
    again = edgewright("bench", lenet5_rpi4, *options[:2], "--repeats", "5", access=own.access)
    assert again.returncode == 0, again.stderr
