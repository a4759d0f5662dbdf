"""What a fleet's benchmark says: results of the boards that ended it, and which were lost why."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgewright.deploy.benchmark import Benchmark, Timing
from edgewright.spec.errors import EdgewrightError

__all__ = ["FLEET_SCHEMA", "BoardResult", "FleetResult", "LostBoard", "reason_of"]

#: Raised by one whenever a reader of the previous version would misread the new one.
FLEET_SCHEMA = 1


@dataclass(frozen=True)
class BoardResult:
    """A model measured on a board.

    Attributes:
        board: its name in the fleet.
        address: where it is.
        target: what was compiled for it.
        benchmark: as ``edgewright bench`` has it.
    """

    board: str
    address: str
    target: str
    benchmark: Benchmark


@dataclass(frozen=True)
class LostBoard:
    """A board without a result for a model.

    Attributes:
        board: its name in the fleet.
        address: where it is.
        target: what was compiled for it; None if it did not say what it is.
        model: the model's name, or None for all.
        stage: ``ask``, ``compile`` or ``measure``.
        reason: a paragraph.
    """

    board: str
    address: str
    target: str | None
    model: str | None
    stage: str
    reason: str


@dataclass(frozen=True)
class FleetResult:
    """One run on all boards.

    Attributes:
        results: in the order of the file, for each board in the order of the models.
        lost: boards, or boards and models, without a result; in the same order.
        schema_version: :data:`FLEET_SCHEMA` of the writer.
    """

    results: tuple[BoardResult, ...]
    lost: tuple[LostBoard, ...]
    schema_version: int = FLEET_SCHEMA

    def reference(self, result: BoardResult, timing: Timing) -> Timing | None:
        """What a timing is compared with: that of the first board, with the same model and threads.

        Returns:
            The fastest of them; None if the first board did not measure such a one.
        """
        first = self.results[0].board
        same = [
            other
            for row in self.results
            if row.board == first and row.benchmark.model == result.benchmark.model
            for other in row.benchmark.timings
            if other.threads == timing.threads
        ]
        return min(same, key=lambda other: other.median_ms, default=None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; each benchmark as ``edgewright bench --json`` prints it."""
        row = dataclasses.asdict(self)
        for result, plain in zip(self.results, row["results"], strict=True):
            plain["benchmark"] = result.benchmark.to_dict()
        return row


def reason_of(error: Exception) -> str:
    """Why a board was lost, as a paragraph; also of an error that Edgewright did not foresee."""
    if isinstance(error, EdgewrightError):
        return error.paragraph()
    first = " ".join(str(error).split())[:300]
    return (
        f"Edgewright failed in a way it does not know: {type(error).__name__}: {first}. This is a "
        "defect of Edgewright; measure this board alone with --debug, and report it."
    )
