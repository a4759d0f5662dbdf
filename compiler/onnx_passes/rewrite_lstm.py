"""Writes ``LSTM`` step by step with operators that TVM imports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import attribute_int, is_onnx
from edgewright.compiler.onnx_passes.recurrence import Recurrence, decline_recurrence, unroll

__all__ = ["RewriteLstm", "decline_lstm"]

_ACTIVATIONS = ("Sigmoid", "Tanh", "Tanh")
_GATES = 4
_INPUT, _OUTPUT, _FORGET, _CELL = range(_GATES)
_PEEPHOLES = 7


class RewriteLstm(ir.passes.InPlacePass):
    """Unrolls the sequence, whose length is static.

    Case 1: ``LSTM`` of any direction, layout, activation, clip and peepholes::

            i = f(clip(x W_i + h R_i + P_i * c + b_i))
            f = f(clip(x W_f + h R_f + P_f * c + b_f)), or 1 - i with input_forget
            c' = f * c + i * g(clip(x W_c + h R_c + b_c))
            o = f(clip(x W_o + h R_o + P_o * c' + b_o))
            h' = o * h(c')

        One product for all steps gives ``x W + b`` of all gates, one more for each step ``h R``.
    Case 2: ``sequence_lens``: a sequence that has ended keeps its states and gives zeros.

    What :func:`decline_lstm` names is left untouched, and refused by the guard.

    Source: the equations of ONNX's documentation of LSTM, opset 14; ``input_forget``, and that
    ``clip`` leaves the cell state alone, as in onnxruntime 1.31.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "LSTM") and decline_lstm(node) is None:
                unroll(Recurrence(model.graph, node, _ACTIVATIONS), _make_cell, states=2)
                modified = True
        return ir.passes.PassResult(model, modified)


def decline_lstm(node: ir.Node) -> str | None:
    """Why an ``LSTM`` is not written out, or None."""
    return decline_recurrence(node, len(_ACTIVATIONS))


def _make_cell(recurrence: Recurrence, direction: int) -> tuple[_LstmCell, list[ir.Value]]:
    of_input, of_state = recurrence.bias(direction, _GATES)
    bias = of_input and recurrence.add(of_input, of_state, f"{direction}/bias")
    return _LstmCell(recurrence, direction), recurrence.project(direction, bias)


class _LstmCell:
    """The equations of one direction."""

    def __init__(self, recurrence: Recurrence, direction: int) -> None:
        self.r = recurrence
        self.gate, self.candidate, self.shown = recurrence.activations(direction)
        self.recurrent = recurrence.recurrent_weight(direction)
        self.peepholes = recurrence.parameter(_PEEPHOLES, direction, f"{direction}/peepholes")
        self.coupled = attribute_int(recurrence.node, "input_forget", 0) != 0
        self.direction = direction

    def step(
        self, projected: ir.Value, states: Sequence[ir.Value | None], stem: str
    ) -> list[ir.Value]:
        """Hidden and cell state after a step."""
        r, (hidden, cell) = self.r, states
        sums = r.add(projected, r.product(hidden, self.recurrent, f"{stem}/state"), f"{stem}/sums")
        let_in = self._open(sums, _INPUT, cell, f"{stem}/input")
        candidate = r.activate(
            self.candidate, r.part(sums, _CELL, f"{stem}/cell/sum"), f"{stem}/cell"
        )
        new_cell = r.multiply(let_in, candidate, f"{stem}/new")
        if cell is not None:
            kept = r.multiply(self._forget(sums, let_in, cell, stem), cell, f"{stem}/kept")
            new_cell = r.add(kept, new_cell, f"{stem}/cell_state")
        let_out = self._open(sums, _OUTPUT, new_cell, f"{stem}/output_gate")
        shown = self.shown.emit(r.rewrite, new_cell, f"{stem}/shown")
        return [r.multiply(let_out, shown, f"{stem}/hidden"), new_cell]

    def _forget(self, sums: ir.Value, let_in: ir.Value, cell: ir.Value, stem: str) -> ir.Value:
        if not self.coupled:
            return self._open(sums, _FORGET, cell, f"{stem}/forget")
        one = self.r.rewrite.constant("one", np.array(1, self.r.rewrite.dtype))
        shape = (self.r.batch, self.r.hidden)
        return self.r.emit("Sub", one, let_in, stem=f"{stem}/forget", shape=shape)

    def _open(self, sums: ir.Value, gate: int, cell: ir.Value | None, stem: str) -> ir.Value:
        """How far a gate is open; ``cell`` is what its peephole looks at."""
        r = self.r
        total = r.part(sums, gate, f"{stem}/sum")
        if self.peepholes is not None and cell is not None:
            weight = r.part(self.peepholes, gate, f"{stem}/peephole")
            total = r.add(total, r.multiply(cell, weight, f"{stem}/seen"), f"{stem}/total")
        return r.activate(self.gate, total, stem)
