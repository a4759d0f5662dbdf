"""How a scale and shift disappears into the weights of the operator before or after it.

A function answers with a :class:`Folding`, which changes nothing yet, or with None for "not mine".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgewright.compiler.onnx_passes.affine import Affine, fits_dtype, write_affine
from edgewright.compiler.onnx_passes.graph_edits import (
    add_constant,
    attribute_float,
    attribute_int,
    attribute_ints,
    attribute_string,
    constant_array,
    is_onnx,
    new_node,
    static_shape,
)

__all__ = ["Folding", "fold_after", "fold_before"]

Array = npt.NDArray[np.float64]

_INPUT_NAMES = {0: "weight", 1: "weight", 2: "bias"}


@dataclass(frozen=True)
class Folding:
    """New weights of one node.

    Attributes:
        node: the node that takes the scale and shift in.
        constants: float64 numbers by input index; they replace or add that input.
        dropped: attributes that the new weights have taken in.
        rest: what is still to be done to the output, for an operator without a bias.
    """

    node: ir.Node
    constants: Mapping[int, Array]
    dropped: tuple[str, ...] = ()
    rest: Affine | None = field(default=None)

    @property
    def is_storable(self) -> bool:
        """Whether every new weight is finite in the type it is stored in."""
        value = self.node.outputs[0]
        arrays = list(self.constants.values())
        if self.rest is not None:
            arrays.append(self.rest.shift)
        return value.dtype is not None and all(
            fits_dtype(array, value.dtype.numpy()) for array in arrays
        )

    def write(self, graph: ir.Graph) -> list[ir.Node]:
        """Register the weights and make the nodes, which are not inserted yet.

        Returns:
            Nodes in order; the last one's output is the result.
        """
        node, old = self.node, self.node.outputs[0]
        assert old.dtype is not None
        inputs = list(node.inputs)
        for index, array in sorted(self.constants.items()):
            stored = array.astype(old.dtype.numpy())
            value = add_constant(graph, f"{node.name}/{_INPUT_NAMES[index]}", stored)
            if index < len(inputs):
                inputs[index] = value
            else:
                inputs.append(value)
        kept = [item for name, item in node.attributes.items() if name not in self.dropped]
        nodes = [new_node(node.op_type, inputs, name=node.name or "", like=old, attributes=kept)]
        if self.rest is not None:
            nodes[0].outputs[0].name = f"{node.name}/product"
            nodes.extend(write_affine(graph, nodes[0].outputs[0], self.rest, node.name or ""))
        return nodes


def fold_after(node: ir.Node | None, affine: Affine) -> Folding | None:
    """Fold ``affine``, applied to the node's output, into the node.

    Case 1: ``Conv``: output channel o of the weight (O, I/groups, …) and of the bias.
    Case 2: ``ConvTranspose``: weight (I, O/groups, …), whose groups split axis 0.
    Case 3: ``Gemm``: columns of B, or rows if it is transposed; alpha and beta go in too.
    Case 4: ``MatMul`` with a constant on the right (last axis) or the left (last axis but one);
        what is left of the shift becomes an ``Add``.
    """
    if node is None or not affine.is_finite:
        return None
    folding: Folding | None = None
    if is_onnx(node, "Conv"):
        folding = _after_conv(node, affine)
    elif is_onnx(node, "ConvTranspose"):
        folding = _after_conv_transpose(node, affine)
    elif is_onnx(node, "Gemm"):
        folding = _after_gemm(node, affine)
    elif is_onnx(node, "MatMul"):
        folding = _after_mat_mul(node, affine)
    return folding if folding is not None and folding.is_storable else None


def fold_before(node: ir.Node, affine: Affine) -> Folding | None:
    """Fold ``affine``, applied to the node's first input, into the node.

    Case 1: ``Conv`` without padding: input channels of the weight; the shift goes through the
        weight into the bias. With padding only if the shift is zero, for padded zeros are not
        shifted.
    Case 2: ``Gemm`` that does not transpose A: rows of B, or columns if it is transposed.
    Case 3: ``MatMul`` with a constant matrix on the right: its rows; the shift becomes an ``Add``.
    """
    if not affine.is_finite:
        return None
    folding: Folding | None = None
    if is_onnx(node, "Conv"):
        folding = _before_conv(node, affine)
    elif is_onnx(node, "Gemm"):
        folding = _before_gemm(node, affine)
    elif is_onnx(node, "MatMul"):
        folding = _before_mat_mul(node, affine)
    return folding if folding is not None and folding.is_storable else None


def _float_constant(node: ir.Node, index: int) -> Array | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    array = constant_array(value)
    return None if array is None else array.astype(np.float64)


def _bias(node: ir.Node) -> Array | None:
    """The third input; zero if there is none, None if it is not constant."""
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return np.zeros(1)
    return _float_constant(node, 2)


def _after_conv(node: ir.Node, affine: Affine) -> Folding | None:
    weight, bias = _float_constant(node, 1), _bias(node)
    if weight is None or bias is None:
        return None
    pair = affine.along(1, weight.shape[0])
    if pair is None:
        return None
    scale, shift = pair
    column = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return Folding(node, {1: weight * column, 2: bias * scale + shift})


def _after_conv_transpose(node: ir.Node, affine: Affine) -> Folding | None:
    weight, bias = _float_constant(node, 1), _bias(node)
    if weight is None or bias is None:
        return None
    groups = attribute_int(node, "group", 1)
    ic, oc_group, *kernel = weight.shape
    pair = affine.along(1, oc_group * groups)
    if pair is None:
        return None
    scale, shift = pair
    split = weight.reshape(groups, ic // groups, oc_group, *kernel)
    by_group = scale.reshape(groups, 1, oc_group, *[1] * len(kernel))
    return Folding(node, {1: (split * by_group).reshape(weight.shape), 2: bias * scale + shift})


def _after_gemm(node: ir.Node, affine: Affine) -> Folding | None:
    weight, bias = _float_constant(node, 1), _bias(node)
    if weight is None or bias is None:
        return None
    transposed = attribute_int(node, "transB", 0)
    pair = affine.along(1, weight.shape[0 if transposed else 1])
    if pair is None:
        return None
    scale, shift = pair
    alpha, beta = attribute_float(node, "alpha", 1.0), attribute_float(node, "beta", 1.0)
    scaled = alpha * weight * (scale[:, None] if transposed else scale[None, :])
    return Folding(node, {1: scaled, 2: beta * bias * scale + shift}, ("alpha", "beta"))


def _after_mat_mul(node: ir.Node, affine: Affine) -> Folding | None:
    shape = static_shape(node.outputs[0])
    if shape is None or not (affine.scale != 1).any():
        return None
    for index, axis in ((1, -1), (0, -2)):
        weight = _float_constant(node, index)
        other = static_shape(node.inputs[1 - index])
        if weight is None or other is None or weight.ndim < 2 or len(other) < 2:
            continue
        pair = affine.along(len(shape) + axis, weight.shape[axis])
        if pair is None:
            continue
        scale, shift = pair
        scaled = weight * (scale[None, :] if axis == -1 else scale[:, None])
        rest = None
        if shift.any():
            rest = Affine(len(shape) + axis, np.ones(1), shift)
        return Folding(node, {index: scaled}, rest=rest)
    return None


def _before_conv(node: ir.Node, affine: Affine) -> Folding | None:
    weight, bias = _float_constant(node, 1), _bias(node)
    if weight is None or bias is None:
        return None
    groups = attribute_int(node, "group", 1)
    oc, ic_group, *kernel = weight.shape
    pair = affine.along(1, ic_group * groups)
    if pair is None:
        return None
    scale, shift = pair
    if shift.any() and _is_padded(node, len(kernel)):
        return None
    # Output channel o reads the input channels of its group, o // (O / groups).
    ones = [1] * len(kernel)
    by_output = np.repeat(scale.reshape(groups, ic_group), oc // groups, axis=0)
    shifts = np.repeat(shift.reshape(groups, ic_group), oc // groups, axis=0)
    through = (weight * shifts.reshape(oc, ic_group, *ones)).reshape(oc, -1).sum(axis=1)
    scaled = weight * by_output.reshape(oc, ic_group, *ones)
    if not shift.any() and len(node.inputs) < 3:
        return Folding(node, {1: scaled})
    return Folding(node, {1: scaled, 2: bias + through})


def _is_padded(node: ir.Node, spatial: int) -> bool:
    auto_pad = attribute_string(node, "auto_pad", "NOTSET")
    if auto_pad == "VALID":
        return False
    return auto_pad != "NOTSET" or any(attribute_ints(node, "pads", [0] * 2 * spatial))


def _before_gemm(node: ir.Node, affine: Affine) -> Folding | None:
    weight, bias = _float_constant(node, 1), _bias(node)
    if weight is None or bias is None or attribute_int(node, "transA", 0):
        return None
    transposed = attribute_int(node, "transB", 0)
    pair = affine.along(1, weight.shape[1 if transposed else 0])
    if pair is None:
        return None
    scale, shift = pair
    alpha, beta = attribute_float(node, "alpha", 1.0), attribute_float(node, "beta", 1.0)
    scaled = alpha * weight * (scale[None, :] if transposed else scale[:, None])
    through = alpha * (weight @ shift if transposed else shift @ weight)
    return Folding(node, {1: scaled, 2: beta * bias + through}, ("alpha", "beta"))


def _before_mat_mul(node: ir.Node, affine: Affine) -> Folding | None:
    weight = _float_constant(node, 1)
    source, shape = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if weight is None or weight.ndim != 2 or source is None or len(source) < 2 or shape is None:
        return None
    pair = affine.along(len(source) - 1, weight.shape[0])
    if pair is None:
        return None
    scale, shift = pair
    rest = Affine(len(shape) - 1, np.ones(1), shift @ weight) if shift.any() else None
    return Folding(node, {1: weight * scale[:, None]}, rest=rest)
