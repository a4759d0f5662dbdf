"""Runs passes again and again until none of them finds anything to do."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

__all__ = ["Repeat"]

# Each round removes or folds at least one node, and real models settle within five.
_MAX_ROUNDS = 100


class Repeat(ir.passes.InPlacePass):
    """A sequence of in-place passes, run until a whole round changes nothing."""

    def __init__(self, passes: Sequence[ir.passes.InPlacePass]) -> None:
        """Remember the passes.

        Args:
            passes: run in this order in every round.
        """
        self.passes = tuple(passes)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Run the rounds.

        Raises:
            RuntimeError: the passes never settle, which is an error in one of them.
        """
        modified = False
        for _ in range(_MAX_ROUNDS):
            changed = [type(item).__name__ for item in self.passes if item(model).modified]
            if not changed:
                return ir.passes.PassResult(model, modified)
            modified = True
        raise RuntimeError(f"these passes undo each other's work: {', '.join(changed)}")
