from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from edgewright.deploy.tuning.tune import TunedLayer, Tuning
from edgewright.report.tuning_tables import summary_line, tuning_table
from edgewright.schedules.records import Excluded
from edgewright.schedules.select import candidates
from tests.schedules.tuning_records import A72, LAYER, record, records

OFFERS = candidates(LAYER, A72, "blocked", 2)
GAINED = record({OFFERS[0]: 30_000.0, OFFERS[1]: 20_000.0}, OFFERS[0])
SAME = record({OFFERS[0]: 10_000.0, OFFERS[1]: 20_000.0}, OFFERS[0])
FAILED = replace(SAME, model_choice="gone", excluded=(Excluded("gone", "crashed"),))


def test_a_table_and_a_line_tell_what_was_gained() -> None:
    layers = (
        TunedLayer("first", GAINED.workload, GAINED),
        TunedLayer("second", SAME.workload, SAME),
        TunedLayer("third", SAME.workload, FAILED),
        TunedLayer("fourth", "other", None),
        TunedLayer("fifth", "other", None, ("k: crashed",)),
    )
    tuning = Tuning(records(GAINED), layers, 4, 2, 1)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(tuning_table(tuning))
    lines = {line.split()[0]: line.split() for line in capture.get().splitlines() if line.strip()}
    assert capture.get().startswith("Kernels on Cortex-A72, 4 threads, governor performance")
    gained = [OFFERS[1].algorithm, OFFERS[1].config, "20.0", "1.50", "2"]
    assert lines["first"][-5:] == gained
    assert lines["second"][-3:] == ["same", "10.0", "2"]
    assert "failed" in lines["third"] and lines["third"][-2:] == ["1", "failed"]
    assert lines["fourth"][1:] == ["not", "measured", "yet"]
    assert lines["fifth"][1:] == ["k:", "crashed"]
    assert summary_line(tuning) == (
        "3 of 5 layers are measured: 50.0 us with the model's choices, 40.0 us with the best, 1.25 "
        "times faster. 1 workload is left: run the command again to go on."
    )
    assert summary_line(Tuning(records(), layers[3:], 1, 0, 0)) == "0 of 2 layers are measured."
