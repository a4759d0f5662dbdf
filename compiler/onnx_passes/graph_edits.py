"""Questions asked of an ``onnx_ir`` graph, and the few ways in which the passes change it.

Everything here works on the main graph: subgraphs are inlined or refused before any pass looks at
numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = [
    "NODES_KEY",
    "Rewrite",
    "add_constant",
    "attribute_float",
    "attribute_floats",
    "attribute_int",
    "attribute_ints",
    "attribute_string",
    "attribute_strings",
    "constant_array",
    "copy_tensor",
    "drop_node",
    "fresh_name",
    "is_onnx",
    "is_used",
    "known_shape",
    "new_node",
    "original_nodes",
    "replace_nodes",
    "sole_user",
    "static_shape",
]

#: ``metadata_props`` key under which a rewritten node names the original nodes it computes, one a
#: line.
NODES_KEY = "edgewright.nodes"


def is_onnx(node: ir.Node, *op_types: str) -> bool:
    """Whether the node is one of ``op_types`` in ONNX's own domain."""
    return node.domain == "" and node.op_type in op_types


def is_used(value: ir.Value) -> bool:
    """Whether a node reads the value, or the graph gives it."""
    return bool(value.uses()) or value.is_graph_output()


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """The value's extents, or None if its rank or one of them is not known."""
    if value is None or value.shape is None:
        return None
    extents = tuple(value.shape)
    if not all(isinstance(extent, int) for extent in extents):
        return None
    return tuple(int(extent) for extent in extents if isinstance(extent, int))


def known_shape(value: ir.Value) -> tuple[int, ...]:
    """The extents of a value that is known to have them."""
    shape = static_shape(value)
    assert shape is not None
    return shape


def constant_array(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    """The numbers of an initializer, or None for anything computed, given or made of text."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    if value.const_value.dtype == ir.DataType.STRING:
        return None
    return np.asarray(value.const_value.numpy())


def attribute_int(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute, or ``default`` where the node has none."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def attribute_float(node: ir.Node, name: str, default: float) -> float:
    """A float attribute, or ``default`` where the node has none."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_float()


def attribute_string(node: ir.Node, name: str, default: str) -> str:
    """A text attribute, or ``default`` where the node has none."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def attribute_ints(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    """A list of integers, or ``default`` where the node has none."""
    attribute = node.attributes.get(name)
    return list(default) if attribute is None else [int(item) for item in attribute.as_ints()]


def attribute_floats(node: ir.Node, name: str, default: Sequence[float]) -> list[float]:
    """A list of floats, or ``default`` where the node has none."""
    attribute = node.attributes.get(name)
    return list(default) if attribute is None else [float(item) for item in attribute.as_floats()]


def attribute_strings(node: ir.Node, name: str, default: Sequence[str]) -> list[str]:
    """A list of texts, or ``default`` where the node has none."""
    attribute = node.attributes.get(name)
    return list(default) if attribute is None else [str(item) for item in attribute.as_strings()]


def fresh_name(graph: ir.Graph, base: str) -> str:
    """``base``, or ``base_1``, ``base_2`` … if a value of the graph already has that name."""
    taken = {value.name for value in graph.inputs}
    taken.update(graph.initializers)
    taken.update(output.name for node in graph for output in node.outputs)
    if base not in taken:
        return base
    number = 1
    while f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"


def copy_tensor(tensor: ir.TensorProtocol, name: str) -> ir.TensorProtocol:
    """A tensor of the same numbers and another name.

    Tensors are shared between a model, its copies and the protobuf message they were read from, so
    renaming one in place would rename them all.
    """
    if tensor.dtype == ir.DataType.STRING:
        texts = [bytes(item) for item in np.ravel(tensor.numpy())]
        return ir.StringTensor(texts, shape=ir.Shape(tensor.shape.numpy()), name=name)
    return ir.Tensor(np.asarray(tensor.numpy()), dtype=tensor.dtype, name=name)


def add_constant(graph: ir.Graph, base: str, array: npt.NDArray[np.generic]) -> ir.Value:
    """Register ``array`` as an initializer named after ``base`` and return its value."""
    name = fresh_name(graph, base)
    tensor = ir.Tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def new_node(
    op_type: str,
    inputs: Sequence[ir.Value | None],
    *,
    name: str,
    like: ir.Value,
    output: str = "",
    shape: Sequence[int] | None = None,
    attributes: Iterable[ir.Attr] = (),
) -> ir.Node:
    """A node with one output of the type of ``like``.

    Args:
        op_type: the operator, in ONNX's own domain.
        inputs: input values; None for an absent one.
        name: the node's name.
        like: a value whose element type the output has, and whose shape where ``shape`` is None.
        output: the output's name; empty where :func:`replace_nodes` gives it one.
        shape: the output's extents.
        attributes: the node's attributes.
    """
    value = ir.Value(
        name=output or None,
        type=like.type,
        shape=ir.Shape(shape) if shape is not None else like.shape,
    )
    return ir.Node("", op_type, inputs, attributes, outputs=[value], name=name)


def original_nodes(node: ir.Node) -> list[str]:
    """Names of the nodes of the user's model that this one computes."""
    recorded = node.metadata_props.get(NODES_KEY)
    return recorded.split("\n") if recorded else [node.name or ""]


def replace_nodes(
    graph: ir.Graph,
    old_nodes: Sequence[ir.Node],
    new_nodes: Sequence[ir.Node],
    old_value: ir.Value,
    new_value: ir.Value,
) -> None:
    """Put new nodes where old ones were; the new value takes the old one's name and uses.

    Args:
        graph: the graph of all nodes.
        old_nodes: nodes to remove, in graph order; nothing else may use what they compute.
        new_nodes: nodes to insert after the last of them.
        old_value: the output of ``old_nodes`` that lives on.
        new_value: what computes it now; keeps its own type and shape.
    """
    names: list[str] = []
    for node in old_nodes:
        names.extend(name for name in original_nodes(node) if name not in names)
    for node in new_nodes:
        node.metadata_props[NODES_KEY] = "\n".join(names)
    name = old_value.name
    old_value.name = None
    new_value.name = name
    old_value.replace_all_uses_with(new_value, replace_graph_outputs=True)
    graph.insert_after(old_nodes[-1], new_nodes)
    graph.remove(list(reversed(old_nodes)), safe=True)


class Rewrite:
    """Collects the nodes that take the place of one node.

    Names of nodes and values are stems below the name of the old node; the last value takes the
    name of the old node's output.
    """

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        """Start with no nodes.

        Args:
            graph: the graph of the node.
            node: the node to replace; its first output lives on.
        """
        self._graph = graph
        self._node = node
        self._nodes: list[ir.Node] = []
        self._constants: dict[str, ir.Value] = {}
        # An output that nobody reads may have neither name nor type.
        first = node.outputs[0]
        self._like = first if first.type is not None else node.inputs[0] or first

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Element type of the old node's first input."""
        source = self._node.inputs[0]
        assert source is not None and source.dtype is not None
        return source.dtype.numpy()

    def constant(self, stem: str, array: npt.NDArray[np.generic]) -> ir.Value:
        """An initializer; asked again for the same stem, the same one."""
        if stem not in self._constants:
            name = f"{self._node.name}/{stem}"
            self._constants[stem] = add_constant(self._graph, name, array)
        return self._constants[stem]

    def emit(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        stem: str,
        shape: Sequence[int] | None = None,
        attributes: Iterable[ir.Attr] = (),
    ) -> ir.Value:
        """A node's output, of the old output's shape where ``shape`` is None.

        It has the old output's element type, until shape inference finds another.
        """
        name = f"{self._node.name}/{stem}"
        made = new_node(
            op_type,
            inputs,
            name=name,
            like=self._like,
            output=name,
            shape=shape,
            attributes=attributes,
        )
        self._nodes.append(made)
        return made.outputs[0]

    def emit_parts(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        stem: str,
        count: int,
        shape: Sequence[int],
        attributes: Iterable[ir.Attr] = (),
    ) -> list[ir.Value]:
        """As :meth:`emit`, for a node with ``count`` outputs of one shape."""
        name = f"{self._node.name}/{stem}"
        outputs = [
            ir.Value(name=f"{name}/{index}", type=self._like.type, shape=ir.Shape(shape))
            for index in range(count)
        ]
        self._nodes.append(ir.Node("", op_type, inputs, attributes, outputs=outputs, name=name))
        return outputs

    def cast(self, value: ir.Value, dtype: ir.DataType, stem: str) -> ir.Value:
        """A value in another element type."""
        to = ir.Attr("to", ir.AttributeType.INT, int(dtype))
        made = self.emit("Cast", value, stem=stem, shape=static_shape(value), attributes=[to])
        made.type = ir.TensorType(dtype)
        return made

    def insert(self) -> None:
        """Put the nodes before the old one, which stays."""
        self._record()
        self._graph.insert_before(self._node, self._nodes)

    def _record(self) -> None:
        """Let the new nodes name those of the user's model that they compute."""
        recorded = "\n".join(original_nodes(self._node))
        for made in self._nodes:
            made.metadata_props[NODES_KEY] = recorded

    def finish(self, result: ir.Value) -> None:
        """Put the nodes into the graph; ``result`` replaces the old output."""
        replace_nodes(self._graph, [self._node], self._nodes, self._node.outputs[0], result)

    def finish_outputs(self, results: Sequence[ir.Value | None]) -> None:
        """Put the nodes into the graph; each result replaces one of the old outputs.

        Args:
            results: outputs of the new nodes, each once; None for an old output that nobody reads.
        """
        self._record()
        for old, new in zip(self._node.outputs, results, strict=True):
            if new is not None:
                name, old.name = old.name, None
                new.name, new.type = name, old.type or new.type
                old.replace_all_uses_with(new, replace_graph_outputs=True)
        self._graph.insert_after(self._node, self._nodes)
        self._graph.remove(self._node, safe=True)


def drop_node(graph: ir.Graph, node: ir.Node, source: ir.Value) -> bool:
    """Let the users of ``node``'s first output read ``source`` instead, and remove the node.

    Returns:
        False, with nothing changed, where that would lose the name of a graph output: ``source`` is
        itself an input, a constant or another output, or is what the node computes from.
    """
    value = node.outputs[0]
    if value.is_graph_output():
        producer = source.producer()
        if producer is None or source.is_graph_output() or producer.graph is not graph:
            return False
        name, value.name = value.name, None
        source.name = name
    value.replace_all_uses_with(source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True


def sole_user(value: ir.Value) -> ir.Node | None:
    """The one node that reads the value, once; None if it has other uses or is a graph output."""
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output():
        return None
    return uses[0].node
