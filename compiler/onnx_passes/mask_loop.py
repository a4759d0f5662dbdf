"""Writes a ``Loop`` whose condition is computed as all iterations that it may have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import constant_array, is_onnx, is_used
from edgewright.compiler.onnx_passes.inline_graph import (
    MAX_TRIPS,
    Inliner,
    decline_size,
    decline_types,
)
from edgewright.compiler.onnx_passes.select_branch import BRANCHES_KEY

__all__ = ["MaskLoop"]


class MaskLoop(ir.passes.InPlacePass):
    """Runs every iteration up to the trip count, and keeps the states once the condition is false.

    Case 1: ``Loop`` with a constant trip count and tensors of one shape as states, nothing of whose
        iterations is collected: ``state = Where(going, next, state)``, ``going = going and
        condition``.

    Runs only where nothing else can be folded, as ``SelectBranch`` does: ``UnrollLoop`` has taken
    all loops whose condition is known. Collected values are as many as there were iterations,
    which no static shape can tell: such a loop is left untouched, and refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite in the main graph."""
        modified = False
        for node in list(model.graph):
            trips = _trips(node) if is_onnx(node, "Loop") else None
            if trips is not None:
                _mask(model.graph, node, trips)
                modified = True
        return ir.passes.PassResult(model, modified)


def _trips(node: ir.Node) -> int | None:
    """The constant trip count; None for a loop that is left."""
    body = node.attributes["body"].as_graph()
    most = constant_array(node.inputs[0])
    if most is None or decline_types([*node.inputs, *node.outputs, *body.inputs, *body.outputs]):
        return None
    trips, states = int(np.reshape(most, ())), len(node.inputs) - 2
    if not 0 < trips <= MAX_TRIPS or decline_size(trips, body) is not None:
        return None
    return None if any(is_used(value) for value in node.outputs[states:]) else trips


def _mask(graph: ir.Graph, node: ir.Node, trips: int) -> None:
    body = node.attributes["body"].as_graph()
    inliner = Inliner(graph, node)
    inliner.hoist(body)
    true = inliner.constant("true", np.array(True))
    going = node.inputs[1]
    if going is not None:
        going = inliner.emit("Squeeze", going, stem="condition", like=true)
    states = [value for value in node.inputs[2:] if value is not None]
    for trip in range(trips):
        number = inliner.constant(f"number/{trip}", np.array(trip, np.int64))
        condition, *following = inliner.inline(body, [number, true, *states], str(trip))
        del following[len(states) :]
        states = _kept(inliner, node, going, following, states, f"{trip}/state")
        condition = inliner.emit("Squeeze", condition, stem=f"{trip}/condition", like=true)
        if going is not None:
            stem = f"{trip}/going"
            condition = inliner.emit("And", going, condition, stem=stem, like=true)
        going = condition
    unread = [None] * (len(node.outputs) - len(states))
    inliner.finish([*states, *unread])


def _kept(
    inliner: Inliner,
    node: ir.Node,
    going: ir.Value | None,
    following: Sequence[ir.Value],
    states: Sequence[ir.Value],
    stem: str,
) -> list[ir.Value]:
    """The next states where the loop is going, the present ones where it has ended."""
    if going is None:
        return list(following)
    chosen = []
    for index, (new, old) in enumerate(zip(following, states, strict=True)):
        value = inliner.emit("Where", going, new, old, stem=f"{stem}/{index}", like=old)
        producer = value.producer()
        assert producer is not None
        producer.metadata_props[BRANCHES_KEY] = node.name or ""
        chosen.append(value)
    return chosen
