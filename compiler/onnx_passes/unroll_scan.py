"""Writes a ``Scan`` out, element by element."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    attribute_int,
    attribute_ints,
    is_onnx,
    is_used,
    known_shape,
    static_shape,
)
from edgewright.compiler.onnx_passes.inline_graph import (
    MAX_TRIPS,
    Inliner,
    decline_size,
    decline_types,
)

__all__ = ["UnrollScan", "decline_scan"]


class UnrollScan(ir.passes.InPlacePass):
    """Copies the body once for each element of the scanned axes.

    Case 1: ``Scan`` over inputs of static shape, along any axes and in both directions; what it
        collects is stacked along the axes and in the directions that the node names.

    What :func:`decline_scan` gives a reason for is left untouched, and refused by the guard.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Unroll in the main graph."""
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "Scan") and decline_scan(node) is None:
                _unroll(model.graph, node)
                modified = True
        return ir.passes.PassResult(model, modified)


def decline_scan(node: ir.Node) -> str | None:
    """Why a ``Scan`` is not written out, or None."""
    body = node.attributes["body"].as_graph()
    reason = decline_types([*node.inputs, *node.outputs, *body.inputs, *body.outputs])
    if reason is not None:
        return reason
    shapes = [static_shape(value) for value in node.inputs[_states(node) :]]
    if any(shape is None for shape in shapes):
        return "the length of its sequence is known at run time only"
    trips = _trips(node)
    if not 0 < trips <= MAX_TRIPS:
        return f"it has {trips} iterations, and 1 to {MAX_TRIPS} can be written out"
    return decline_size(trips, body)


def _states(node: ir.Node) -> int:
    return len(node.inputs) - attribute_int(node, "num_scan_inputs", 0)


def _axes(node: ir.Node) -> list[int]:
    """The scanned axis of each scanned input."""
    scanned = node.inputs[_states(node) :]
    axes = attribute_ints(node, "scan_input_axes", [0] * len(scanned))
    shapes = [known_shape(value) for value in scanned if value is not None]
    return [axis % len(shape) for axis, shape in zip(axes, shapes, strict=True)]


def _trips(node: ir.Node) -> int:
    first = node.inputs[_states(node)]
    assert first is not None
    return known_shape(first)[_axes(node)[0]]


def _unroll(graph: ir.Graph, node: ir.Node) -> None:
    body = node.attributes["body"].as_graph()
    inliner = Inliner(graph, node)
    inliner.hoist(body)
    count, trips, axes = _states(node), _trips(node), _axes(node)
    states = [value for value in node.inputs[:count] if value is not None]
    scanned = [value for value in node.inputs[count:] if value is not None]
    backwards = attribute_ints(node, "scan_input_directions", [0] * len(scanned))
    collected: list[list[ir.Value]] = [[] for _ in body.outputs[count:]]
    for trip in range(trips):
        elements = []
        for value, axis, back in zip(scanned, axes, backwards, strict=True):
            at = trips - 1 - trip if back else trip
            along = ir.Attr("axis", ir.AttributeType.INT, axis)
            index = inliner.constant(f"number/{at}", np.array(at, np.int64))
            stem = f"{trip}/{value.name}"
            elements.append(
                inliner.emit("Gather", value, index, stem=stem, like=value, attributes=[along])
            )
        results = inliner.inline(body, [*states, *elements], str(trip))
        states = results[:count]
        for values, value in zip(collected, results[count:], strict=True):
            values.append(value)
    results_of_all: list[ir.Value | None] = [*states]
    out_axes = attribute_ints(node, "scan_output_axes", [0] * len(collected))
    out_backwards = attribute_ints(node, "scan_output_directions", [0] * len(collected))
    for place, values in enumerate(collected):
        if not is_used(node.outputs[count + place]):
            results_of_all.append(None)
            continue
        ordered = values[::-1] if out_backwards[place] else values
        results_of_all.append(inliner.stack(ordered, out_axes[place], f"collected/{place}"))
    inliner.finish(results_of_all)
