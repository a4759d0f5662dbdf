"""Writes a ``Loop`` out, iteration by iteration."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import constant_array, is_onnx, is_used
from edgewright.compiler.onnx_passes.inline_graph import (
    MAX_TRIPS,
    Inliner,
    decline_size,
    decline_types,
)
from edgewright.compiler.onnx_passes.known_values import KnownValues

__all__ = ["UnrollLoop", "decline_loop"]


class UnrollLoop(ir.passes.InPlacePass):
    """Copies the body once for each iteration.

    Case 1: the trip count is constant, and the condition stays true.
    Case 2: the condition follows, in each iteration, from constants and from the number of the
        iteration, and is false at some time or the trip count is constant.

    Values of each iteration that scan outputs collect are stacked along a new first axis. A loop
    that :func:`decline_loop` gives a reason for is left to ``MaskLoop``, or refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Unroll in the main graph."""
        opset = model.graph.opset_imports.get("", 0)
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "Loop"):
                trips = _plan(node, opset)
                if isinstance(trips, int):
                    _unroll(model.graph, node, trips)
                    modified = True
        return ir.passes.PassResult(model, modified)


def decline_loop(node: ir.Node) -> str | None:
    """Why a ``Loop`` is not written out, or None."""
    opset = node.graph.opset_imports.get("", 0) if isinstance(node.graph, ir.Graph) else 0
    plan = _plan(node, opset)
    return plan if isinstance(plan, str) else None


def _plan(node: ir.Node, opset: int) -> int | str:
    """The number of iterations, or why they cannot be written out."""
    body = node.attributes["body"].as_graph()
    reason = decline_types([*node.inputs, *node.outputs, *body.inputs, *body.outputs])
    if reason is not None:
        return reason
    trips = _count(node, body, opset)
    if isinstance(trips, str):
        return trips
    reason = decline_size(trips, body)
    if reason is not None:
        return reason
    collected = node.outputs[len(body.outputs) - 1 - _scans(node, body) :]
    if trips == 0 and any(is_used(value) for value in collected):
        return "it never runs, and what it collects has no elements"
    return trips


def _scans(node: ir.Node, body: ir.Graph) -> int:
    """How many outputs collect a value of each iteration."""
    states = len(node.inputs) - 2
    return len(body.outputs) - 1 - states


def _count(node: ir.Node, body: ir.Graph, opset: int) -> int | str:
    inputs = [*node.inputs, None, None][: max(2, len(node.inputs))]
    limit, condition = inputs[0], inputs[1]
    most = None if limit is None else constant_array(limit)
    if limit is not None and most is None:
        return f"its trip count '{limit.name}' is known at run time only"
    first = True if condition is None else constant_array(condition)
    if first is None:
        return "its condition is known at run time only"
    last = MAX_TRIPS + 1 if most is None else int(np.reshape(most, ()))
    running = bool(np.all(first))
    known = KnownValues(body, [body.outputs[0]], opset)
    states: list[np.ndarray | None] = [constant_array(value) for value in inputs[2:]]
    trips = 0
    while running and trips < last:
        if trips == MAX_TRIPS:
            return f"it has more than {MAX_TRIPS} iterations"
        given = [np.array(trips, np.int64), np.array(True), *states]
        results = known.evaluate(given)
        if results[0] is None:
            return f"its condition after iteration {trips} is known at run time only"
        running = bool(np.all(results[0]))
        states = results[1 : 1 + len(states)]
        trips += 1
    return trips


def _unroll(graph: ir.Graph, node: ir.Node, trips: int) -> None:
    body = node.attributes["body"].as_graph()
    inliner = Inliner(graph, node)
    inliner.hoist(body)
    true = inliner.constant("true", np.array(True))
    states = [value for value in node.inputs[2:] if value is not None]
    collected: list[list[ir.Value]] = [[] for _ in range(_scans(node, body))]
    for trip in range(trips):
        number = inliner.constant(f"number/{trip}", np.array(trip, np.int64))
        _, *results = inliner.inline(body, [number, true, *states], str(trip))
        for values, value in zip(collected, results[len(states) :], strict=True):
            values.append(value)
        states = results[: len(states)]
    results_of_all: list[ir.Value | None] = [*states]
    for index, values in enumerate(collected):
        old = node.outputs[len(states) + index]
        stem = f"collected/{index}"
        results_of_all.append(inliner.stack(values, 0, stem) if is_used(old) else None)
    inliner.finish(results_of_all)
