"""What ``LSTM``, ``GRU`` and ``RNN`` have in common: directions, steps, lengths, layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    Rewrite,
    attribute_float,
    attribute_int,
    attribute_string,
    constant_array,
    is_used,
    known_shape,
    static_shape,
)
from edgewright.compiler.onnx_passes.recurrent_activations import (
    Activation,
    activations_of,
    clip,
    decline_activations,
)

__all__ = ["MAX_STEPS", "Cell", "Recurrence", "decline_recurrence", "unroll"]

#: Longest sequence that is written out, both directions together. A step becomes a handful of
#: kernel launches.
MAX_STEPS = 1024

# Inputs that the three operators share.
_X, _W, _R, _B, _LENGTHS, _FIRST_STATE = range(6)


class Cell(Protocol):
    """The equations of one direction."""

    def step(self, projected: ir.Value, states: Sequence[ir.Value | None], stem: str) -> States:
        """The states after a step; the first is the output.

        Args:
            projected: the step's inputs times the input weights, plus biases, ``[B, gates * H]``.
            states: before the step, ``[B, H]`` each; None for zeros.
            stem: begins the names of what is emitted.
        """


States = list[ir.Value]


class Recurrence:
    """A recurrent node while it is written out.

    Attributes:
        rewrite: collects the nodes.
        node: the node.
        steps, batch, inputs, hidden, directions: S, B, I, H, D of ONNX's documentation.
    """

    def __init__(self, graph: ir.Graph, node: ir.Node, activations: Sequence[str]) -> None:
        """Read the node.

        Args:
            graph: the node's graph.
            node: for which :func:`decline_recurrence` answers None.
            activations: of one direction, where the node names none.
        """
        self.rewrite = Rewrite(graph, node)
        self.node = node
        self.batch_first = attribute_int(node, "layout", 0) == 1
        x, recurrent = static_shape(node.inputs[_X]), static_shape(node.inputs[_R])
        assert x is not None and recurrent is not None
        self.steps, self.batch = (x[1], x[0]) if self.batch_first else (x[0], x[1])
        self.inputs, self.hidden, self.directions = x[2], recurrent[2], recurrent[0]
        self.clip = attribute_float(node, "clip", 0.0)
        self._activations = activations_of(node, activations, self.directions)

    def activations(self, direction: int) -> list[Activation]:
        """Those of one direction, in ONNX's order: f, g, h."""
        count = len(self._activations) // self.directions
        return self._activations[direction * count : (direction + 1) * count]

    def emit(
        self, op_type: str, *inputs: ir.Value | None, stem: str, shape: Sequence[int]
    ) -> ir.Value:
        """A node without attributes."""
        return self.rewrite.emit(op_type, *inputs, stem=stem, shape=shape)

    def add(self, left: ir.Value, right: ir.Value | None, stem: str) -> ir.Value:
        """``left + right``, of the shape of ``left``; None is zero."""
        if right is None:
            return left
        return self.emit("Add", left, right, stem=stem, shape=known_shape(left))

    def multiply(self, left: ir.Value, right: ir.Value, stem: str) -> ir.Value:
        """``left * right``, of the shape of ``left``."""
        return self.emit("Mul", left, right, stem=stem, shape=known_shape(left))

    def reshape(self, value: ir.Value, shape: Sequence[int], stem: str) -> ir.Value:
        """``value`` with other extents."""
        target = self.rewrite.constant(f"shape/{list(shape)}", np.array(shape, np.int64))
        return self.emit("Reshape", value, target, stem=stem, shape=shape)

    def part(self, value: ir.Value, index: int, stem: str, count: int = 1) -> ir.Value:
        """``count`` gates, from number ``index`` on, along the last axis, H elements each."""
        first, last = index * self.hidden, (index + count) * self.hidden
        *outer, extent = known_shape(value)
        if (first, last) == (0, extent):
            return value
        bounds = [
            self.rewrite.constant(f"index/{number}", np.array([number], np.int64))
            for number in (first, last, -1)
        ]
        return self.emit("Slice", value, *bounds, stem=stem, shape=(*outer, last - first))

    def activate(self, activation: Activation, value: ir.Value, stem: str) -> ir.Value:
        """The activation of the clipped value."""
        return activation.emit(self.rewrite, clip(self.rewrite, self.clip, value, stem), stem)

    def parameter(self, index: int, direction: int, stem: str, axis: int = 0) -> ir.Value | None:
        """What an input of shape ``[D, …]`` holds for a direction, or None if it is absent."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        if value is None:
            return None
        shape = list(known_shape(value))
        del shape[axis]
        at = self.rewrite.constant(f"direction/{direction}", np.array(direction, np.int64))
        axes = [ir.Attr("axis", ir.AttributeType.INT, axis)]
        return self.rewrite.emit("Gather", value, at, stem=stem, shape=shape, attributes=axes)

    def weight(self, index: int, direction: int, stem: str) -> ir.Value:
        """Input or recurrent weights of a direction, transposed to ``[inputs, gates * H]``."""
        gathered = self.parameter(index, direction, f"{stem}/rows")
        assert gathered is not None
        rows, columns = known_shape(gathered)
        order = [ir.Attr("perm", ir.AttributeType.INTS, [1, 0])]
        return self.rewrite.emit(
            "Transpose", gathered, stem=stem, shape=(columns, rows), attributes=order
        )

    def recurrent_weight(self, direction: int) -> ir.Value:
        """R of a direction, ``[H, gates * H]``: one value for all steps."""
        return self.weight(_R, direction, f"{direction}/recurrent")

    def bias(self, direction: int, gates: int) -> tuple[ir.Value | None, ir.Value | None]:
        """Biases of the inputs and of the state, ``[gates * H]`` each; None for none."""
        both = self.parameter(_B, direction, f"{direction}/biases")
        if both is None:
            return None, None
        stem = f"{direction}/bias"
        return (
            self.part(both, 0, f"{stem}/input", gates),
            self.part(both, gates, f"{stem}/state", gates),
        )

    def product(self, state: ir.Value | None, weight: ir.Value, stem: str) -> ir.Value | None:
        """``state @ weight``; None, which is zero, for None."""
        if state is None:
            return None
        shape = (known_shape(state)[0], known_shape(weight)[1])
        return self.emit("MatMul", state, weight, stem=stem, shape=shape)

    def project(self, direction: int, bias: ir.Value | None) -> list[ir.Value]:
        """``X_t @ W + bias`` for each step, ``[B, gates * H]`` each, by one product for all."""
        x = self.node.inputs[_X]
        assert x is not None
        rows = self.steps * self.batch
        if self.batch_first:
            shape = (self.steps, self.batch, self.inputs)
            order = [ir.Attr("perm", ir.AttributeType.INTS, [1, 0, 2])]
            stem = f"{direction}/steps_first"
            x = self.rewrite.emit("Transpose", x, stem=stem, shape=shape, attributes=order)
        flat = self.reshape(x, (rows, self.inputs), f"{direction}/flat")
        weight = self.weight(_W, direction, f"{direction}/weight")
        product = self.product(flat, weight, f"{direction}/product")
        assert product is not None
        projected = self.add(product, bias, f"{direction}/projected")
        if self.steps == 1:
            return [projected]
        sizes = np.full(self.steps, self.batch, np.int64)
        return self.rewrite.emit_parts(
            "Split",
            projected,
            self.rewrite.constant("sizes", sizes),
            stem=f"{direction}/step",
            count=self.steps,
            shape=(self.batch, known_shape(projected)[1]),
            attributes=[ir.Attr("axis", ir.AttributeType.INT, 0)],
        )

    def zeros(self) -> ir.Value:
        """A state of zeros."""
        zeros = np.zeros((self.batch, self.hidden), self.rewrite.dtype)
        return self.rewrite.constant("zeros", zeros)

    def first_states(self, direction: int, count: int) -> list[ir.Value | None]:
        """The initial states of a direction."""
        axis = 1 if self.batch_first else 0
        return [
            self.parameter(_FIRST_STATE + i, direction, f"{direction}/first/{i}", axis)
            for i in range(count)
        ]

    def masks(self) -> list[ir.Value | bool]:
        """For each step, which sequences reach it: all (True), none, or ``bool[B, 1]``."""
        lengths = self.node.inputs[_LENGTHS] if len(self.node.inputs) > _LENGTHS else None
        if lengths is None:
            return [True] * self.steps
        known = constant_array(lengths)
        if known is not None:
            masks = [np.arange(self.steps)[step] < known for step in range(self.steps)]
            return [
                bool(mask.all())
                if mask.all() or not mask.any()
                else self.rewrite.constant(f"mask/{step}", mask.reshape(-1, 1))
                for step, mask in enumerate(masks)
            ]
        column = self.reshape(lengths, (self.batch, 1), "lengths")
        steps = [
            self.rewrite.constant(f"number/{step}", np.array(step, np.int32))
            for step in range(self.steps)
        ]
        return [
            self.emit("Less", number, column, stem=f"mask/{step}", shape=(self.batch, 1))
            for step, number in enumerate(steps)
        ]

    def where(self, mask: ir.Value, chosen: ir.Value, other: ir.Value, stem: str) -> ir.Value:
        """``chosen`` in the rows of ``mask``, else ``other``."""
        return self.emit("Where", mask, chosen, other, stem=stem, shape=known_shape(chosen))


#: Makes the cell of a direction and projects its inputs.
MakeCell = Callable[[Recurrence, int], tuple[Cell, list[ir.Value]]]


def unroll(recurrence: Recurrence, make_cell: MakeCell, states: int) -> None:
    """Write the node out step by step, and replace it.

    A step that a sequence does not reach keeps its states and gives zeros. A reverse direction
    begins at the last step of the longest sequence, so that each starts at its own end. A sequence
    of length 0 ends in states of zeros, whatever it began with, as in onnxruntime.

    Args:
        recurrence: the node.
        make_cell: its equations.
        states: how many it has, 1 or 2.
    """
    directions = range(recurrence.directions)
    masks = recurrence.masks()
    finals: list[list[ir.Value]] = []
    outputs: list[list[ir.Value]] = []
    for direction in directions:
        name = attribute_string(recurrence.node, "direction", "forward")
        reverse = direction == 1 or name == "reverse"
        cell, projected = make_cell(recurrence, direction)
        current = recurrence.first_states(direction, states)
        made = [recurrence.zeros()] * recurrence.steps
        for step in sorted(range(recurrence.steps), reverse=reverse):
            mask, stem = masks[step], f"{direction}/{step}"
            if mask is False:
                continue
            following = cell.step(projected[step], current, stem)
            made[step] = following[0]
            if isinstance(mask, ir.Value):
                zeros = recurrence.zeros()
                made[step] = recurrence.where(mask, following[0], zeros, f"{stem}/output")
                following = [
                    recurrence.where(mask, new, old or zeros, f"{stem}/kept/{index}")
                    for index, (new, old) in enumerate(zip(following, current, strict=True))
                ]
            current = [*following]
        outputs.append(made)
        finals.append(_ended(recurrence, current, masks[0], direction))
    results: list[ir.Value | None] = [None] * len(recurrence.node.outputs)
    for index, old in enumerate(recurrence.node.outputs):
        if is_used(old) and index == 0:
            results[0] = _whole_output(recurrence, outputs)
        elif is_used(old):
            results[index] = _final_state(recurrence, [f[index - 1] for f in finals], index)
    recurrence.rewrite.finish_outputs(results)


def _ended(
    recurrence: Recurrence,
    states: Sequence[ir.Value | None],
    began: ir.Value | bool,
    direction: int,
) -> list[ir.Value]:
    """The states of sequences that have a step, zeros for the others."""
    zeros = recurrence.zeros()
    if began is False:
        return [zeros for _ in states]
    ended = [state or zeros for state in states]
    if began is True:
        return ended
    return [
        recurrence.where(began, state, zeros, f"{direction}/ended/{index}")
        for index, state in enumerate(ended)
    ]


def _whole_output(recurrence: Recurrence, outputs: Sequence[Sequence[ir.Value]]) -> ir.Value:
    """Y: ``[S, D, B, H]``, or ``[B, S, D, H]`` for layout 1."""
    r = recurrence
    parts = []
    for direction, made in enumerate(outputs):
        stem = f"{direction}/outputs"
        flat = _concat(r, made, 0, (r.steps * r.batch, r.hidden), f"{stem}/flat")
        parts.append(r.reshape(flat, (r.steps, 1, r.batch, r.hidden), stem))
    shape = (r.steps, r.directions, r.batch, r.hidden)
    whole = _concat(r, parts, 1, shape, "outputs")
    if not r.batch_first:
        return whole
    order = [ir.Attr("perm", ir.AttributeType.INTS, [2, 0, 1, 3])]
    shape = (r.batch, r.steps, r.directions, r.hidden)
    return r.rewrite.emit("Transpose", whole, stem="batch_first", shape=shape, attributes=order)


def _final_state(recurrence: Recurrence, states: Sequence[ir.Value], index: int) -> ir.Value:
    """Y_h or Y_c: ``[D, B, H]``, or ``[B, D, H]`` for layout 1."""
    r = recurrence
    axis = 1 if r.batch_first else 0
    shape = [r.batch, r.hidden]
    shape.insert(axis, 1)
    parts = [
        r.reshape(state, shape, f"{direction}/final/{index}")
        for direction, state in enumerate(states)
    ]
    shape[axis] = r.directions
    return _concat(r, parts, axis, shape, f"final/{index}")


def _concat(
    recurrence: Recurrence, parts: Sequence[ir.Value], axis: int, shape: Sequence[int], stem: str
) -> ir.Value:
    """One after the other along an axis."""
    if len(parts) == 1:
        return parts[0]
    axes = [ir.Attr("axis", ir.AttributeType.INT, axis)]
    return recurrence.rewrite.emit("Concat", *parts, stem=stem, shape=shape, attributes=axes)


def decline_recurrence(node: ir.Node, activations: int) -> str | None:
    """Why a recurrent operator cannot be written out, or None.

    Args:
        node: ``LSTM``, ``GRU`` or ``RNN``.
        activations: how many one direction has.
    """
    x, recurrent = static_shape(node.inputs[_X]), static_shape(node.inputs[_R])
    if x is None or recurrent is None or static_shape(node.inputs[_W]) is None:
        return "the shape of its input or of its weights is known at run time only"
    steps = x[1] if attribute_int(node, "layout", 0) else x[0]
    directions = recurrent[0]
    if steps * directions > MAX_STEPS:
        return (
            f"it has {directions} x {steps} steps, and at most {MAX_STEPS} are written out: "
            "give a shorter sequence with --input-shape"
        )
    if 0 in x:
        return "its sequence has no elements"
    return decline_activations(node, activations * directions)
