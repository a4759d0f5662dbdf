"""What the measuring process is asked, and what it answers: plain values that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.compiler.tunable import Tunable
from edgewright.schedules.records import Excluded, Measured
from edgewright.spec.target import Target

__all__ = ["Began", "Ended", "Failed", "Job", "Outcome", "Reply"]


@dataclass(frozen=True)
class Job:
    """One workload, whose candidates are to be compiled, checked and timed.

    Attributes:
        tunable: the workload.
        target: what to compile for.
        threads: threads that share the work.
        without: names of candidates to leave out: they ended the process before.
        one_by_one: compile one candidate at a time, so that the one that ends the process is known.
        seconds: how long to time.
        folder: where to build; made, and its folder with it.
    """

    tunable: Tunable
    target: Target
    threads: int
    without: frozenset[str]
    one_by_one: bool
    seconds: float
    folder: str


@dataclass(frozen=True)
class Began:
    """A candidate is being compiled or run, which may end the process.

    Attributes:
        kernel: its name.
        runs: whether it runs, after those that began before it; else it is compiled, maybe
            beside another.
    """

    kernel: str
    runs: bool = False


@dataclass(frozen=True)
class Ended:
    """It did not."""

    kernel: str


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        kernel: the winner.
        model_choice: the cost model's choice.
        rounds: runs of each candidate that count.
        measured: the candidates whose numbers are right, the fastest first; empty if there is none.
        excluded: the others.
    """

    kernel: str
    model_choice: str
    rounds: int
    measured: tuple[Measured, ...]
    excluded: tuple[Excluded, ...]


@dataclass(frozen=True)
class Failed:
    """The workload could not be measured, for a reason that is not one candidate's."""

    reason: str


Reply = Began | Ended | Outcome | Failed
