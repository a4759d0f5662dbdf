"""Several compilations of one run, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.deploy.boards.board import Board
from edgewright.deploy.fleet.fleet_result import reason_of
from edgewright.spec.progress import Progress
from edgewright.spec.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CompileJob", "Outcome", "compile_here"]


@dataclass(frozen=True)
class CompileJob:
    """One model for one target.

    Attributes:
        label: a name for the bundle's folder and for progress, different from the other jobs'.
        model: the ``.onnx`` file.
        target: what to compile for, resolved: another machine may not know its name.
        options: further arguments of :func:`edgewright.compile`.
    """

    label: str
    model: Path
    target: Target | Board
    options: Mapping[str, Any]


#: Stages of a compilation, load to link.
_STAGES = 10

#: The bundle's folder, or the paragraph that says why there is none.
Outcome = Path | str


def compile_here(
    jobs: Sequence[CompileJob], folder: Path, progress: Progress
) -> dict[str, Outcome]:
    """Compile one after the other on this machine.

    Args:
        jobs: what to compile.
        folder: gets a bundle for each job that succeeds, by the job's label.
        progress: told each label and the fraction that is done.

    Returns:
        By label the outcome; an error ends its own job only.
    """
    from edgewright import api

    outcomes: dict[str, Outcome] = {}
    for job in jobs:
        place, tell = folder / job.label, _share_of_stages(job.label, progress)
        try:
            api.compile(job.model, job.target, output=place, progress=tell, **job.options)
            outcomes[job.label] = place
        except Exception as error:
            outcomes[job.label] = reason_of(error)
        progress(job.label, 1.0)
    return outcomes


def _share_of_stages(label: str, progress: Progress) -> Progress:
    """A progress of stages, told on as one of the job."""
    begun: set[str] = set()

    def tell(stage: str, fraction: float) -> None:
        begun.add(stage)
        progress(label, (len(begun) - 1) / _STAGES)

    return tell
