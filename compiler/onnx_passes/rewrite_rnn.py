"""Writes ``RNN`` step by step with operators that TVM imports."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import is_onnx
from edgewright.compiler.onnx_passes.recurrence import Recurrence, decline_recurrence, unroll

__all__ = ["RewriteRnn", "decline_rnn"]

_ACTIVATIONS = ("Tanh",)


class RewriteRnn(ir.passes.InPlacePass):
    """Unrolls the sequence, whose length is static.

    Case 1: ``RNN`` of any direction, layout, activation and clip:
        ``h' = f(clip(x W + h R + b))``.
    Case 2: ``sequence_lens``: a sequence that has ended keeps its state and gives zeros.

    What :func:`decline_rnn` names is left untouched, and refused by the guard.

    Source: the equations of ONNX's documentation of RNN, opset 14.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "RNN") and decline_rnn(node) is None:
                unroll(Recurrence(model.graph, node, _ACTIVATIONS), _make_cell, states=1)
                modified = True
        return ir.passes.PassResult(model, modified)


def decline_rnn(node: ir.Node) -> str | None:
    """Why an ``RNN`` is not written out, or None."""
    return decline_recurrence(node, len(_ACTIVATIONS))


def _make_cell(recurrence: Recurrence, direction: int) -> tuple[_RnnCell, list[ir.Value]]:
    of_input, of_state = recurrence.bias(direction, gates=1)
    bias = of_input and recurrence.add(of_input, of_state, f"{direction}/bias")
    return _RnnCell(recurrence, direction), recurrence.project(direction, bias)


class _RnnCell:
    """The equation of one direction."""

    def __init__(self, recurrence: Recurrence, direction: int) -> None:
        self.r = recurrence
        (self.activation,) = recurrence.activations(direction)
        self.recurrent = recurrence.recurrent_weight(direction)

    def step(
        self, projected: ir.Value, states: Sequence[ir.Value | None], stem: str
    ) -> list[ir.Value]:
        """The hidden state after a step."""
        r, (hidden,) = self.r, states
        sums = r.add(projected, r.product(hidden, self.recurrent, f"{stem}/state"), f"{stem}/sum")
        return [r.activate(self.activation, sums, f"{stem}/hidden")]
