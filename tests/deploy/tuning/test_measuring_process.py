"""A candidate that ends its process ends nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.compiler.tunable import Tunable
from edgewright.deploy.tuning import measuring_process as module
from edgewright.deploy.tuning.measuring_process import MeasuringProcess
from edgewright.schedules.records import Excluded
from edgewright.schedules.workload import DenseWorkload
from edgewright.spec.errors import ToolError
from edgewright.spec.target import CORES

LAYER = Tunable(DenseWorkload(1, 8, 8), "plain", "head")
WORKER = "tests.deploy.tuning.dying_worker"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m`` finds the worker from there."""
    monkeypatch.chdir(ROOT)


def dying(script: int) -> MeasuringProcess:
    return MeasuringProcess(CORES["cortex-a72"], script, WORKER)


def test_a_candidate_that_crashes_when_it_runs_is_left_out() -> None:
    with dying(1) as process:
        outcome = process.measure(LAYER, 1.0)
    reason = "ended the process that measured it (killed by SIGSEGV)"
    assert outcome.excluded == (Excluded("b", reason),)


def test_one_that_crashes_the_compiler_is_found_beside_another() -> None:
    with dying(2) as process:
        outcome = process.measure(LAYER, 1.0)
    assert [entry.kernel for entry in outcome.excluded] == ["b"]


def test_a_process_that_dies_by_itself_is_an_error() -> None:
    with dying(3) as process, pytest.raises(ToolError, match=r"on its own \(killed by SIGSEGV\)"):
        process.measure(LAYER, 1.0)


def test_a_failure_of_the_tools_is_told() -> None:
    with dying(4) as process, pytest.raises(ToolError, match="the linker is out of luck"):
        process.measure(LAYER, 1.0)


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.4)
    monkeypatch.setattr(module, "_END_SECONDS", 0.1)
    hanging = MeasuringProcess(CORES["cortex-a72"], 1, "tests.deploy.tuning.hanging_worker")
    with hanging as process, pytest.raises(ToolError, match="ended on its own"):
        process.measure(LAYER, 1.0)


def test_whatever_stops_the_caller_ends_the_process() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with dying(1) as process:
        with pytest.raises(Stop):
            process.measure(LAYER, 1.0, stop)
        assert process._process is None
        folder = process._folder
    assert not folder.exists()
