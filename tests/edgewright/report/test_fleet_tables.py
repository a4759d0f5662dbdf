from __future__ import annotations

import io

from rich.console import Console

from edgewright.deploy.benchmark import Benchmark, Conditions, Timing, make_timing
from edgewright.deploy.fleet.fleet_result import BoardResult, FleetResult, LostBoard
from edgewright.report.fleet_tables import fleet_table, lost_line


def timing(threads: int, milliseconds: float, cpus: str = "") -> Timing:
    return make_timing(
        "edgewright", threads, 1, [milliseconds] * 4, cpus=cpus, peak_memory_bytes=2048
    )


def result(board: str, model: str, *timings: Timing) -> BoardResult:
    benchmark = Benchmark(
        f"ssh://{board}", model, "", "rpi4", "edgewright 1", Conditions("cpu", 4, "", 0), timings
    )
    return BoardResult(board, f"ssh://{board}", "rpi4", benchmark)


def printed(fleet: FleetResult) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=160)
    console.print(fleet_table(fleet))
    return [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_ratios_are_to_the_first_board_with_results() -> None:
    rows = printed(
        FleetResult((result("a", "net", timing(1, 2)), result("b", "net", timing(1, 3))), ())
    )
    assert rows[0] == ["Fleet:", "net"]
    assert rows[1][-3:] == ["to", "a", "marks"]
    assert [row[-1] for row in rows[2:]] == ["1.00x", "1.50x"]
    assert rows[2][:5] == ["a", "rpi4", "1", "2.000", "2.000"]
    assert "2.0 KiB" in " ".join(rows[2])


def test_a_ratio_needs_the_same_model_and_threads() -> None:
    first = result("a", "net", timing(2, 4, "0,1"), timing(2, 2, "2,3"))
    others = (result("b", "net", timing(2, 6), timing(4, 5)), result("b", "other", timing(2, 1)))
    rows = printed(FleetResult((first, *others), ()))
    assert rows[0] == ["Fleet"]
    # A sweep's fastest placement is the one to compare with.
    assert [row[-1] for row in rows[2:]] == ["2.00x", "1.00x", "3.00x", "KiB", "KiB"]
    assert rows[2][2:6] == ["net", "2", "on", "0,1"]
    assert rows[6][:3] == ["b", "rpi4", "other"]


def test_a_lost_board_and_its_reason_are_one_line() -> None:
    lost = LostBoard("b", "ssh://b", "rpi4", "net", "measure", "It is off.")
    assert lost_line(lost) == "Lost b (net): It is off."
    asked = LostBoard("b", "ssh://b", None, None, "ask", "It is off.")
    assert lost_line(asked) == "Lost b: It is off."
