"""What a model is made of, and what of it would not compile."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.compiler.analysis import ModelAnalysis, analyse, unsupported
from edgewright.compiler.onnx_passes import Refusal, load_model
from edgewright.deploy.boards.registry import Board, resolve

__all__ = ["Inspection", "inspect_model"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        analysis: operators, shapes and sizes.
        refusals: what would keep the model from being compiled; empty if nothing does.
        memory_note: whether the board's memory suffices; empty where no board was named.
    """

    analysis: ModelAnalysis
    refusals: tuple[Refusal, ...]
    memory_note: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            **self.analysis.to_json(),
            "compiles": not self.refusals,
            "refusals": [dataclasses.asdict(refusal) for refusal in self.refusals],
            "memory_note": self.memory_note,
        }


def inspect_model(
    model: Path,
    target: str | Mapping[str, Any] | None,
    input_shapes: Mapping[str, Sequence[int]] | None,
) -> Inspection:
    """See :func:`edgewright.api.inspect`."""
    board = resolve(target)[1] if target is not None else None
    loaded = load_model(model, input_shapes)
    analysis = analyse(loaded)
    return Inspection(analysis, tuple(unsupported(loaded)), _memory_note(analysis, board))


def _memory_note(analysis: ModelAnalysis, board: Board | None) -> str:
    """A lower bound: what is certainly needed, against what the smallest board of the name has."""
    if board is None:
        return ""
    needed = (analysis.parameter_bytes + analysis.largest_activation_bytes) / _MIB
    verdict = "fits" if needed < board.memory_mb else "does not fit"
    return f"at least {needed:.1f} MiB: {verdict} the {board.memory_mb} MiB of {board.name}"
