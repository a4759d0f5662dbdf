"""Refuses operators that ONNX does not know, and opsets that nothing here was tested with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from edgewright.spec.errors import ModelError, UnsupportedModelError

__all__ = ["MAX_OPSET", "MIN_OPSET", "check_operators", "opset_of"]

#: The oldest opset. ONNX's converter knows how operators changed since; onnxruntime, our reference,
#: promises nothing below 7, but computes most of them.
MIN_OPSET = 1
#: The newest opset that onnxruntime 1.31, our reference, runs.
MAX_OPSET = 26

_ONNX_DOMAINS = ("", "ai.onnx")


def opset_of(model: onnx.ModelProto | onnx.FunctionProto) -> int:
    """Version of ONNX's own operator set that a model or a function imports; 0 if none."""
    versions = [item.version for item in model.opset_import if item.domain in _ONNX_DOMAINS]
    return int(versions[0]) if versions else 0


def check_operators(model: onnx.ModelProto) -> None:
    """Check the opset and every operator's name and domain, in subgraphs and functions too.

    Raises:
        ModelError: there is no opset, it is too new, or an ONNX operator does not exist in it.
        UnsupportedModelError: operators of another domain, which no function of the model defines,
            or a function of another opset.
    """
    opset = opset_of(model)
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise ModelError(
            f"the model uses opset {opset}, which is newer than those supported"
            if opset
            else "the model imports no ONNX operator set",
            rule=f"Opsets {MIN_OPSET} to {MAX_OPSET} are supported.",
            remedy=f"Export the model again with an opset from {MIN_OPSET} to {MAX_OPSET}.",
        )
    for function in model.functions:
        own = opset_of(function)
        if own not in (0, opset):
            raise UnsupportedModelError(
                f"the function '{function.name}' uses opset {own}, and the model opset {opset}",
                rule="Functions are inlined, so their operators must mean what the model's mean.",
                remedy="Export the model and its functions with one opset.",
            )
    functions = {(function.domain, function.name) for function in model.functions}
    nodes = [*_nodes(model.graph.node)]
    for function in model.functions:
        nodes.extend(_nodes(function.node))
    _refuse_unknown([node for node in nodes if node.domain in _ONNX_DOMAINS], opset, functions)
    foreign = [
        node
        for node in nodes
        if node.domain not in _ONNX_DOMAINS and (node.domain, node.op_type) not in functions
    ]
    if foreign:
        listed = sorted({f"{node.domain}.{node.op_type}" for node in foreign})
        first = foreign[0].name or (foreign[0].output[0] if foreign[0].output else "")
        raise UnsupportedModelError(
            f"the model uses operators of another domain: {', '.join(listed)}; first in "
            f"node '{first}'",
            rule="Only ONNX's own operators, and functions that the model itself defines, can be "
            "compiled.",
            remedy="Export the model with standard operators; for onnxruntime's, turn its graph "
            "optimisations off before saving.",
        )


def _refuse_unknown(
    nodes: list[onnx.NodeProto], opset: int, functions: set[tuple[str, str]]
) -> None:
    unknown: dict[str, str] = {}
    for node in nodes:
        if (node.domain, node.op_type) in functions or onnx.defs.has(node.op_type, opset):
            continue
        unknown.setdefault(node.op_type, node.name or (node.output[0] if node.output else ""))
    if unknown:
        listed = ", ".join(f"{op} (node '{name}')" for op, name in unknown.items())
        raise ModelError(
            f"the model uses operators that ONNX opset {opset} does not have: {listed}",
            remedy="Check the spelling and the opset, and export the model again.",
        )


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from _nodes(graph.node)
