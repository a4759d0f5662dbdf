"""Per-channel scale and shift: how it is recognised, composed and written.

A chain of such nodes computes ``y = scale * x + shift`` with one scale and one shift for each index
of one axis. Everything is computed in float64 and rounded once, where it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import (
    add_constant,
    attribute_float,
    attribute_int,
    constant_array,
    is_onnx,
    new_node,
    sole_user,
    static_shape,
)

__all__ = [
    "Affine",
    "Chain",
    "chain_after",
    "chain_from",
    "fits_dtype",
    "match_affine",
    "write_affine",
]

Array = npt.NDArray[np.float64]

_FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16)


@dataclass(frozen=True)
class Affine:
    """``y = scale * x + shift`` along one axis.

    Attributes:
        axis: the axis, counted from 0; None where both are scalars.
        scale: float64, as long as the axis, or of one element.
        shift: float64, as long as the axis, or of one element.
    """

    axis: int | None
    scale: Array
    shift: Array

    def then(self, other: Affine) -> Affine | None:
        """This and then ``other``, or None if they act along different axes."""
        if self.axis is not None and other.axis is not None and self.axis != other.axis:
            return None
        axis = self.axis if self.axis is not None else other.axis
        with np.errstate(over="ignore", invalid="ignore"):
            scale = self.scale * other.scale
            shift = self.shift * other.scale + other.shift
        size = max(scale.size, shift.size)
        return Affine(axis, np.broadcast_to(scale, size), np.broadcast_to(shift, size))

    def along(self, axis: int, size: int) -> tuple[Array, Array] | None:
        """Scale and shift of ``size`` elements each, or None if they act along another axis."""
        if self.axis is not None and self.axis != axis:
            return None
        return np.broadcast_to(self.scale, size), np.broadcast_to(self.shift, size)

    @property
    def is_finite(self) -> bool:
        """Whether no number is infinite or undefined."""
        return bool(np.isfinite(self.scale).all() and np.isfinite(self.shift).all())


@dataclass(frozen=True)
class Chain:
    """Affine nodes one after the other, each the only reader of the one before.

    Attributes:
        nodes: in graph order.
        affine: what they compute together.
    """

    nodes: tuple[ir.Node, ...]
    affine: Affine

    @property
    def output(self) -> ir.Value:
        """The value that the chain computes."""
        return self.nodes[-1].outputs[0]

    @property
    def source(self) -> ir.Value:
        """The value that the chain reads."""
        value = data_input(self.nodes[0])
        assert value is not None
        return value


def data_input(node: ir.Node) -> ir.Value | None:
    """The input of an affine node that is not constant."""
    if is_onnx(node, "BatchNormalization"):
        return node.inputs[0]
    values = [value for value in node.inputs if constant_array(value) is None]
    return values[0] if len(values) == 1 else None


def match_affine(node: ir.Node) -> Affine | None:
    """What a single node computes, if that is a per-channel scale and shift.

    ``BatchNormalization`` for inference (y = (x - mean) / sqrt(var + epsilon) * scale + bias, along
    axis 1), ``Add``, ``Sub``, ``Mul`` with a constant on either side, ``Div`` by a constant and
    ``Neg``, where the constant varies along one axis at most and does not enlarge the other input.
    """
    value = data_input(node)
    if value is None or value.dtype not in _FLOATS or len(node.outputs) != 1:
        return None
    shape = static_shape(value)
    if shape is None or shape != static_shape(node.outputs[0]):
        return None
    if is_onnx(node, "BatchNormalization"):
        return _match_batch_norm(node)
    if is_onnx(node, "Neg"):
        return Affine(None, np.array([-1.0]), np.array([0.0]))
    if not is_onnx(node, "Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
        return None
    constant_first = constant_array(node.inputs[0]) is not None
    array = constant_array(node.inputs[0 if constant_first else 1])
    if array is None:
        return None
    axes = _varying_axes(array.shape, shape)
    if axes is None or len(axes) > 1:
        return None
    flat = array.astype(np.float64).reshape(-1)
    one, zero = np.array([1.0]), np.array([0.0])
    axis = axes[0] if axes else None
    if node.op_type == "Mul":
        return Affine(axis, flat, zero)
    if node.op_type == "Add":
        return Affine(axis, one, flat)
    if node.op_type == "Sub":
        return Affine(axis, -one, flat) if constant_first else Affine(axis, one, -flat)
    if constant_first or not flat.all():
        return None
    return Affine(axis, 1.0 / flat, zero)


def _varying_axes(constant: tuple[int, ...], data: tuple[int, ...]) -> list[int] | None:
    """The axes of ``data`` along which the constant varies; None if it would enlarge ``data``."""
    if len(constant) > len(data):
        return None
    padded = (1,) * (len(data) - len(constant)) + constant
    axes = [axis for axis, extent in enumerate(padded) if extent != 1]
    return axes if all(padded[axis] == data[axis] for axis in axes) else None


def _match_batch_norm(node: ir.Node) -> Affine | None:
    if attribute_int(node, "training_mode", 0):
        return None
    parameters = [constant_array(value) for value in node.inputs[1:5]]
    if len(parameters) != 4 or any(parameter is None for parameter in parameters):
        return None
    gamma, beta, mean, variance = (
        np.asarray(parameter, np.float64).reshape(-1) for parameter in parameters
    )
    # float32, as ONNX stores the attribute.
    epsilon = float(np.float32(attribute_float(node, "epsilon", 1e-5)))
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = gamma / np.sqrt(variance + epsilon)
        return Affine(1, scale, beta - mean * scale)


def chain_from(node: ir.Node) -> Chain | None:
    """The longest chain of affine nodes that starts with ``node``; None if it is not affine."""
    affine = match_affine(node)
    if affine is None:
        return None
    nodes = [node]
    while (user := sole_user(nodes[-1].outputs[0])) is not None:
        step = match_affine(user)
        combined = None if step is None else affine.then(step)
        if combined is None:
            break
        affine = combined
        nodes.append(user)
    return Chain(tuple(nodes), affine)


def chain_after(value: ir.Value) -> Chain | None:
    """The longest chain of affine nodes that is all that reads ``value``; None if there is none."""
    user = sole_user(value)
    return None if user is None else chain_from(user)


def fits_dtype(array: Array, dtype: npt.DTypeLike) -> bool:
    """Whether rounding to ``dtype`` leaves every number finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.astype(dtype)).all())


def write_affine(graph: ir.Graph, source: ir.Value, affine: Affine, name: str) -> list[ir.Node]:
    """Nodes that compute ``affine`` of ``source``: ``Mul``, ``Add``, both, or at least ``Mul``.

    Args:
        graph: where the constants go; the nodes are not inserted.
        source: of static shape.
        affine: what to compute.
        name: the stem of the new nodes' names.

    Returns:
        Nodes in order; the last one's output is the result.
    """
    shape = static_shape(source)
    assert shape is not None and source.dtype is not None
    dtype = source.dtype.numpy()
    trailing = 0 if affine.axis is None else len(shape) - affine.axis - 1

    def constant(stem: str, array: Array) -> ir.Value:
        extents = () if affine.axis is None else (array.size,) + (1,) * trailing
        with np.errstate(over="ignore", invalid="ignore"):
            return add_constant(graph, stem, array.astype(dtype).reshape(extents))

    nodes: list[ir.Node] = []
    value = source
    has_shift = bool((affine.shift != 0).any())
    if (affine.scale != 1).any() or not has_shift:
        inputs = [value, constant(f"{name}/scale", affine.scale)]
        output = f"{name}/scaled" if has_shift else ""
        nodes.append(new_node("Mul", inputs, name=f"{name}/mul", like=source, output=output))
        value = nodes[-1].outputs[0]
    if has_shift:
        inputs = [value, constant(f"{name}/shift", affine.shift)]
        nodes.append(new_node("Add", inputs, name=f"{name}/add", like=source))
    return nodes
