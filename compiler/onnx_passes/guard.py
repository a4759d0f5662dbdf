"""Refuses what cannot be compiled right, all of it in one report."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from edgewright.compiler.onnx_passes.bind_symbolic_dimensions import MAX_ELEMS
from edgewright.compiler.onnx_passes.graph_edits import constant_array, static_shape
from edgewright.compiler.onnx_passes.refusals import RULES
from edgewright.compiler.onnx_passes.supported_operators import CONSTANT_INPUTS, SUPPORTED
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.tensor import ITEM_BYTES

__all__ = ["Guard", "Refusal", "find_refusals"]

# Operators whose result has as many elements as the data asks for.
_DATA_DEPENDENT = frozenset(("Compress", "NonMaxSuppression", "NonZero", "Unique"))


@dataclass(frozen=True)
class Refusal:
    """One thing that cannot be compiled.

    Attributes:
        node: the node's name; an input's or output's where ``operator`` is ``input`` or ``output``.
        operator: the operator, with its domain if that is not ONNX's.
        reason: a clause without a final stop.
    """

    node: str
    operator: str
    reason: str

    def __str__(self) -> str:
        return f"{self.operator} '{self.node}': {self.reason}"


class Guard(ir.passes.InPlacePass):
    """Changes nothing, and lets no model pass that would be compiled wrong.

    Case 1: an operator that TVM's importer lacks, of another domain, or of control flow.
    Case 2: an attribute or type with which the importer fails or computes something else.
    Case 3: a shape, an axis or another parameter that is known at run time only.
    Case 4: element types other than those of ``spec.tensor``; tensors without or with too many
        elements.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Check the main graph.

        Raises:
            UnsupportedModelError: lists every refusal.
        """
        refusals = find_refusals(model)
        if refusals:
            count = "1 thing" if len(refusals) == 1 else f"{len(refusals)} things"
            raise UnsupportedModelError(
                f"the model has {count} that cannot be compiled: "
                + "; ".join(str(refusal) for refusal in refusals),
                remedy="Replace these parts of the model, or export it with other options.",
            )
        return ir.passes.PassResult(model, False)


def find_refusals(model: ir.Model) -> list[Refusal]:
    """What the guard refuses, in graph order; empty for a model that can be compiled."""
    found: list[Refusal] = []
    for value in model.graph.inputs:
        reason = _refuse_value(value)
        if reason is not None:
            found.append(Refusal(value.name or "", "input", reason))
    for node in model.graph:
        reason = _refuse_operator(node)
        if reason is None and node.op_type in RULES:
            reason = RULES[node.op_type](node)
        # Last, for an attribute that is refused is often why a shape is not known.
        reason = reason or _refuse_values(node)
        if reason is not None:
            operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            found.append(Refusal(node.name or "", operator, reason))
    return found


def _refuse_operator(node: ir.Node) -> str | None:
    if node.domain != "":
        return "only ONNX's own operators are supported"
    if node.op_type in _DATA_DEPENDENT:
        return "the shape of its result depends on data"
    if node.op_type not in SUPPORTED and node.op_type not in RULES:
        return "the operator is not supported"
    return None


def _refuse_values(node: ir.Node) -> str | None:
    for index in CONSTANT_INPUTS.get(node.op_type, ()):
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is not None and constant_array(value) is None:
            return f"its input '{value.name}' must be constant, and is known at run time only"
    for value in (*node.inputs, *node.outputs):
        if value is None or not value.name:
            continue
        reason = _refuse_value(value)
        if reason is not None:
            return f"'{value.name}' {reason}"
    return None


def _refuse_value(value: ir.Value) -> str | None:
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        return "is a sequence, an optional or sparse, and only dense tensors are supported"
    name = value.dtype.name.lower() if value.dtype is not None else "unknown"
    spelled = {"float": "float32", "double": "float64"}.get(name, name)
    if spelled not in ITEM_BYTES:
        return f"has the element type {spelled}, which is not supported"
    shape = static_shape(value)
    if shape is None:
        return "has a shape that is known at run time only"
    elems = math.prod(shape)
    # An absent region of interest or an empty list of axes is a constant without elements.
    if elems == 0 and constant_array(value) is None:
        return "has no elements"
    if elems > MAX_ELEMS:
        return f"has {elems} elements, and at most {MAX_ELEMS} are supported"
    return None
