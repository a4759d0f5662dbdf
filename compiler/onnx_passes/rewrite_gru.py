"""Writes ``GRU`` step by step with operators that TVM imports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import attribute_int, is_onnx
from edgewright.compiler.onnx_passes.recurrence import Recurrence, decline_recurrence, unroll

__all__ = ["RewriteGru", "decline_gru"]

_ACTIVATIONS = ("Sigmoid", "Tanh")
_GATES = 3
_UPDATE, _RESET, _CANDIDATE = range(_GATES)


class RewriteGru(ir.passes.InPlacePass):
    """Unrolls the sequence, whose length is static.

    Case 1: ``GRU`` of any direction, layout, activation and clip::

            z = f(clip(x W_z + h R_z + b_z))
            r = f(clip(x W_r + h R_r + b_r))
            n = g(clip(x W_h + (r * h) R_h + b_h))
            h' = (1 - z) * n + z * h

    Case 2: ``linear_before_reset``, as PyTorch and cuDNN have it, with the biases of input and
        state apart: ``n = g(clip(x W_h + wb_h + r * (h R_h + rb_h)))``. One product gives all of
        ``h R``, where case 1 needs two.
    Case 3: ``sequence_lens``: a sequence that has ended keeps its state and gives zeros.

    What :func:`decline_gru` names is left untouched, and refused by the guard.

    Source: the equations of ONNX's documentation of GRU, opset 14.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "GRU") and decline_gru(node) is None:
                unroll(Recurrence(model.graph, node, _ACTIVATIONS), _make_cell, states=1)
                modified = True
        return ir.passes.PassResult(model, modified)


def decline_gru(node: ir.Node) -> str | None:
    """Why a ``GRU`` is not written out, or None."""
    return decline_recurrence(node, len(_ACTIVATIONS))


def _make_cell(recurrence: Recurrence, direction: int) -> tuple[_GruCell, list[ir.Value]]:
    r, stem = recurrence, f"{direction}/bias"
    of_input, of_state = r.bias(direction, _GATES)
    bias, candidate_bias = of_input, None
    if of_input is not None and of_state is not None:
        if attribute_int(r.node, "linear_before_reset", 0):
            # The candidate's own bias is inside the product with the reset gate.
            candidate_bias = r.part(of_state, _CANDIDATE, f"{stem}/inside")
            zeros = r.rewrite.constant("no_bias", np.zeros(r.hidden, r.rewrite.dtype))
            gates = r.part(of_state, 0, f"{stem}/gates", 2)
            axes = [ir.Attr("axis", ir.AttributeType.INT, 0)]
            of_state = r.rewrite.emit(
                "Concat",
                gates,
                zeros,
                stem=f"{stem}/outside",
                shape=(_GATES * r.hidden,),
                attributes=axes,
            )
        bias = r.add(of_input, of_state, stem)
    return _GruCell(r, direction, candidate_bias), r.project(direction, bias)


class _GruCell:
    """The equations of one direction."""

    def __init__(self, recurrence: Recurrence, direction: int, bias: ir.Value | None) -> None:
        self.r = recurrence
        self.gate, self.candidate = recurrence.activations(direction)
        self.bias = bias
        self.linear_before_reset = attribute_int(recurrence.node, "linear_before_reset", 0) != 0
        stem = f"{direction}/recurrent"
        self.recurrent = recurrence.recurrent_weight(direction)
        if not self.linear_before_reset:
            whole = self.recurrent
            self.recurrent = recurrence.part(whole, 0, f"{stem}/gates", 2)
            self.recurrent_candidate = recurrence.part(whole, _CANDIDATE, f"{stem}/candidate")

    def step(
        self, projected: ir.Value, states: Sequence[ir.Value | None], stem: str
    ) -> list[ir.Value]:
        """The hidden state after a step."""
        r, (hidden,) = self.r, states
        state = r.product(hidden, self.recurrent, f"{stem}/state")
        update = self._open(projected, state, _UPDATE, f"{stem}/update")
        reset = self._open(projected, state, _RESET, f"{stem}/reset")
        seen = self._seen(state, reset, hidden, stem)
        total = r.add(r.part(projected, _CANDIDATE, f"{stem}/candidate/input"), seen, f"{stem}/sum")
        candidate = r.activate(self.candidate, total, f"{stem}/candidate")
        one = r.rewrite.constant("one", np.array(1, r.rewrite.dtype))
        shape = (r.batch, r.hidden)
        fresh = r.emit("Sub", one, update, stem=f"{stem}/fresh", shape=shape)
        new = r.multiply(fresh, candidate, f"{stem}/new")
        if hidden is None:
            return [new]
        return [r.add(new, r.multiply(update, hidden, f"{stem}/kept"), f"{stem}/hidden")]

    def _open(self, projected: ir.Value, state: ir.Value | None, gate: int, stem: str) -> ir.Value:
        """How far a gate is open."""
        r = self.r
        total = r.part(projected, gate, f"{stem}/input")
        if state is not None:
            total = r.add(total, r.part(state, gate, f"{stem}/state"), f"{stem}/sum")
        return r.activate(self.gate, total, stem)

    def _seen(
        self, state: ir.Value | None, reset: ir.Value, hidden: ir.Value | None, stem: str
    ) -> ir.Value | None:
        """What the candidate sees of the state; None is zero."""
        r = self.r
        if not self.linear_before_reset:
            if hidden is None:
                return None
            left = r.multiply(hidden, reset, f"{stem}/left")
            return r.product(left, self.recurrent_candidate, f"{stem}/candidate/state")
        inside = None
        if state is not None:
            inside = r.part(state, _CANDIDATE, f"{stem}/candidate/state")
            inside = r.add(inside, self.bias, f"{stem}/inside")
        elif self.bias is not None:
            inside = self.bias
        return inside and r.multiply(reset, inside, f"{stem}/seen")
