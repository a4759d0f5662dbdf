"""Copies of subgraphs in the place of the control flow that held them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    NODES_KEY,
    copy_tensor,
    is_onnx,
    original_nodes,
)
from edgewright.compiler.onnx_passes.lift_constants import constant_tensor

__all__ = [
    "MAX_NODES",
    "MAX_TRIPS",
    "Inliner",
    "count_nodes",
    "decline_size",
    "decline_types",
    "subgraphs",
]

#: Most iterations that are written out.
MAX_TRIPS = 1024
#: Most nodes that one loop may become.
MAX_NODES = 20_000


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs that a node holds."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def count_nodes(graph: ir.Graph) -> int:
    """Nodes of a graph, those inside its nodes included."""
    return sum(1 + sum(map(count_nodes, subgraphs(node))) for node in graph)


def decline_size(trips: int, body: ir.Graph) -> str | None:
    """Why so many copies of a body are too many to write out, or None."""
    nodes = trips * count_nodes(body)
    if nodes > MAX_NODES:
        return f"its {trips} iterations become {nodes} nodes, and at most {MAX_NODES} are allowed"
    return None


def decline_types(values: Iterable[ir.Value | None]) -> str | None:
    """Why values cannot go through control flow: one is no tensor."""
    for value in values:
        if value is None or value.type is None or isinstance(value.type, ir.TensorType):
            continue
        return f"'{value.name}' is a sequence, an optional or sparse, and no tensor"
    return None


class Inliner:
    """Puts copies of a subgraph's nodes before a node of the main graph, under new names."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        """Collect the names that are taken.

        Args:
            graph: the main graph.
            node: the node of control flow that is to be replaced.
        """
        self._graph = graph
        self._node = node
        self._taken = {value.name for value in graph.inputs}
        self._taken.update(graph.initializers)
        for inner in ir.traversal.RecursiveGraphIterator(graph):
            self._taken.update(output.name for output in inner.outputs)
        self._constants: dict[str, ir.Value] = {}

    def constant(self, stem: str, array: npt.NDArray[np.generic]) -> ir.Value:
        """An initializer; asked again for the same stem, the same one."""
        if stem not in self._constants:
            tensor = ir.Tensor(array, name=self._fresh(f"{self._node.name}/{stem}"))
            self._constants[stem] = self._register(tensor)
        return self._constants[stem]

    def hoist(self, body: ir.Graph) -> None:
        """Make all constants of a subgraph, at any depth, initializers that its copies share."""
        for name, value in list(body.initializers.items()):
            assert value.const_value is not None
            tensor = copy_tensor(value.const_value, self._fresh(name))
            self._replace(body, value, tensor)
            del body.initializers[name]
        for inner in list(body):
            for graph in subgraphs(inner):
                self.hoist(graph)
            tensor_of = constant_tensor(inner) if is_onnx(inner, "Constant") else None
            if tensor_of is not None:
                value = inner.outputs[0]
                tensor = copy_tensor(tensor_of, self._fresh(value.name or "constant"))
                self._replace(body, value, tensor)
                body.remove(inner, safe=True)

    def inline(self, body: ir.Graph, given: Sequence[ir.Value], stem: str = "") -> list[ir.Value]:
        """Insert a copy of ``body``.

        Args:
            body: hoisted; left as it is.
            given: what its inputs are.
            stem: goes between the control flow's name and those of the copied nodes and values;
                empty to keep their names as they are, where they are free.

        Returns:
            Its outputs.
        """
        copy = body.clone(allow_outer_scope_values=True)
        results = list(copy.outputs)
        copy.outputs.clear()
        for old, new in zip(copy.inputs, given, strict=True):
            old.replace_all_uses_with(new)
            results = [new if result is old else result for result in results]
        nodes = list(copy)
        copy.remove(nodes)
        prefix = f"{self._node.name}/{stem}/" if stem else ""
        for inner in nodes:
            origin = original_nodes(inner if inner.name else self._node)
            inner.metadata_props[NODES_KEY] = "\n".join(origin)
            first = inner.outputs[0].name if inner.outputs else ""
            inner.name = f"{prefix}{inner.name or f'{inner.op_type}:{first}'}"
            for value in inner.outputs:
                if value.name:
                    value.name = self._fresh(f"{prefix}{value.name}")
        self._graph.insert_before(self._node, nodes)
        return results

    def emit(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        stem: str,
        like: ir.Value,
        attributes: Iterable[ir.Attr] = (),
    ) -> ir.Value:
        """Insert a node with one output of the element type of ``like``; its shape is not known."""
        name = self._fresh(f"{self._node.name}/{stem}")
        made = ir.Node(
            "",
            op_type,
            inputs,
            attributes,
            outputs=[ir.Value(name=name, type=like.type)],
            name=name,
            metadata_props={NODES_KEY: "\n".join(original_nodes(self._node))},
        )
        self._graph.insert_before(self._node, made)
        return made.outputs[0]

    def stack(self, parts: Sequence[ir.Value], axis: int, stem: str) -> ir.Value:
        """The parts one after the other along a new axis."""
        axes = self.constant(f"axis/{axis}", np.array([axis], np.int64))
        wide = [
            self.emit("Unsqueeze", part, axes, stem=f"{stem}/{index}", like=part)
            for index, part in enumerate(parts)
        ]
        along = ir.Attr("axis", ir.AttributeType.INT, axis)
        return self.emit("Concat", *wide, stem=stem, like=wide[0], attributes=[along])

    def finish(self, results: Sequence[ir.Value | None]) -> None:
        """Remove the control flow; each result replaces one of its outputs.

        Args:
            results: None for an output that nobody reads.
        """
        node, graph = self._node, self._graph
        for old, result in zip(node.outputs, results, strict=True):
            if result is None:
                continue
            kept, old.name = old.name, None
            # An Identity keeps the output's name and copes with a graph that hands on outer values.
            made = ir.Node(
                "",
                "Identity",
                [result],
                outputs=[ir.Value(name=kept, type=old.type or result.type, shape=result.shape)],
                name=f"{node.name}/{kept}",
            )
            graph.insert_before(node, made)
            old.replace_all_uses_with(made.outputs[0], replace_graph_outputs=True)
        for body in subgraphs(node):
            _detach(body)
        graph.remove(node, safe=True)

    def _fresh(self, base: str) -> str:
        name, number = base, 0
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def _replace(self, body: ir.Graph, old: ir.Value, tensor: ir.TensorProtocol) -> None:
        """Let a subgraph read an initializer of the main graph instead of ``old``."""
        new = self._register(tensor)
        if old.is_graph_output():
            # A value can be an output of its own graph only.
            copy = ir.Node("", "Identity", [new], outputs=[ir.Value(name=f"{old.name}/copy")])
            body.append(copy)
            body.outputs[:] = [copy.outputs[0] if v is old else v for v in body.outputs]
        old.replace_all_uses_with(new)

    def _register(self, tensor: ir.TensorProtocol) -> ir.Value:
        value = ir.Value(
            name=tensor.name,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape.numpy()),
            const_value=tensor,
        )
        self._graph.register_initializer(value)
        return value


def _detach(body: ir.Graph) -> None:
    """Let a graph that is thrown away use nothing, or what it read would never be removed."""
    for node in body:
        for graph in subgraphs(node):
            _detach(graph)
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)
