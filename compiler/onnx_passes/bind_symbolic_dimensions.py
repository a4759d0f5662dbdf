"""Gives every input a static shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from edgewright.spec.errors import ModelError

__all__ = ["MAX_ELEMS", "BindSymbolicDimensions"]

#: Elements of one tensor: generated loops count tasks and offsets of a tensor in int32.
MAX_ELEMS = 2**31 - 1

_SPATIAL_SUGGESTION = 224


class BindSymbolicDimensions(ir.passes.InPlacePass):
    """Replaces the dimensions that inputs leave open by the given extents.

    Case 1: an input named in ``input_shapes`` takes that shape, where rank and fixed extents agree.
    Case 2: a symbol bound by one input has the same extent in every other input.
    Case 3: what is still open is refused, with the argument that would bind it.

    Shapes inside the graph that were written for open dimensions are left to shape inference.
    """

    def __init__(self, input_shapes: Mapping[str, Sequence[int]] | None = None) -> None:
        """Remember the shapes.

        Args:
            input_shapes: extents by input name, outermost first; None binds nothing.
        """
        self._input_shapes = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Bind the inputs of the main graph.

        Raises:
            ModelError: an unknown input, a shape that contradicts the model or another input's, a
                dimension that is not positive or too large, or one left open.
        """
        inputs = {value.name or "": value for value in model.graph.inputs}
        for name in self._input_shapes:
            if name not in inputs:
                raise ModelError(
                    f"the model has no input '{name}'",
                    rule=f"Its inputs are {', '.join(map(repr, inputs)) or 'none at all'}.",
                    remedy="Name one of them in --input-shape.",
                )
        bound: dict[str, tuple[int, str]] = {}
        modified = False
        for name, shape in self._input_shapes.items():
            modified |= _apply(inputs[name], shape, bound)
        for value in inputs.values():
            modified |= _bind_symbols(value, bound)
        _refuse_open(list(inputs.values()))
        for value in inputs.values():
            _refuse_extents(value)
        return ir.passes.PassResult(model, modified)


def _is_open(extent: object) -> bool:
    """Whether an extent is a symbol; some exporters write an open one as a negative number."""
    return not isinstance(extent, int) or extent < 0


def _describe(value: ir.Value) -> str:
    if value.shape is None:
        return "of unknown rank"
    return "x".join(
        str(extent) if isinstance(extent, int) else _symbol(extent) for extent in value.shape
    )


def _symbol(extent: object) -> str:
    name = extent.value if isinstance(extent, ir.SymbolicDim) else None
    return name or "?"


def _apply(value: ir.Value, shape: tuple[int, ...], bound: dict[str, tuple[int, str]]) -> bool:
    given = "x".join(map(str, shape))
    if value.shape is not None and len(value.shape) != len(shape):
        raise ModelError(
            f"the shape {given} given for input '{value.name}' has {len(shape)} dimensions",
            rule=f"The model's input is {_describe(value)}, which has {len(value.shape)}.",
            remedy="Give one extent for each of the model's dimensions.",
        )
    for axis, extent in enumerate(shape):
        if extent < 1:
            raise ModelError(
                f"the shape {given} given for input '{value.name}' has the extent {extent}",
                rule="Every extent must be at least 1.",
                remedy="Give positive extents.",
            )
        declared = None if value.shape is None else value.shape[axis]
        if declared is None:
            continue
        if isinstance(declared, int) and declared >= 0 and declared != extent:
            raise ModelError(
                f"the shape {given} given for input '{value.name}' contradicts the model: "
                f"dimension {axis} is {declared} there",
                rule=f"The model's input is {_describe(value)}; fixed dimensions stay fixed.",
                remedy="Give the model's own extent, or export the model with that dimension open.",
            )
        symbol = _symbol(declared)
        if symbol != "?":
            before, where = bound.setdefault(symbol, (extent, value.name or ""))
            if before != extent:
                raise ModelError(
                    f"the dimension '{symbol}' is {before} in input '{where}' and {extent} in "
                    f"input '{value.name}'",
                    rule="A named dimension has one extent in the whole model.",
                    remedy="Give the same extent in each --input-shape.",
                )
    if value.shape is not None and tuple(value.shape) == shape:
        return False
    value.shape = ir.Shape(shape)
    return True


def _bind_symbols(value: ir.Value, bound: Mapping[str, tuple[int, str]]) -> bool:
    if value.shape is None:
        return False
    extents = [
        bound[_symbol(extent)][0] if _is_open(extent) and _symbol(extent) in bound else extent
        for extent in value.shape
    ]
    if extents == list(value.shape):
        return False
    value.shape = ir.Shape(extents)
    return True


def _refuse_open(values: Sequence[ir.Value]) -> None:
    names: list[str] = []
    arguments: list[str] = []
    for value in values:
        if value.shape is None:
            raise ModelError(
                f"the model does not say how many dimensions input '{value.name}' has",
                remedy=f"Add its whole shape, for example --input-shape {value.name}:1x3x224x224.",
            )
        if not any(_is_open(extent) for extent in value.shape):
            continue
        rank = len(value.shape)
        extents = []
        for axis, extent in enumerate(value.shape):
            if not _is_open(extent):
                extents.append(str(extent))
                continue
            symbol = _symbol(extent)
            label = f"'{symbol}'" if symbol != "?" else f"dimension {axis}"
            names.append(f"{label} of input '{value.name}'")
            extents.append(str(_SPATIAL_SUGGESTION if rank >= 4 and axis >= 2 else 1))
        arguments.append(f"--input-shape {value.name}:{'x'.join(extents)}")
    if names:
        raise ModelError(
            f"the model leaves open {', '.join(names)}",
            rule="Everything is compiled for one static shape.",
            remedy=f"Add {' '.join(arguments)}, with the extents you want.",
        )


def _refuse_extents(value: ir.Value) -> None:
    assert value.shape is not None
    extents = [int(extent) for extent in value.shape if isinstance(extent, int)]
    if 0 in extents:
        raise ModelError(
            f"input '{value.name}' is {_describe(value)}, which holds no element",
            rule="Every extent must be at least 1.",
            remedy="Export the model with a positive extent there, or with that dimension open.",
        )
    if math.prod(extents) > MAX_ELEMS:
        raise ModelError(
            f"input '{value.name}' is {_describe(value)}, which is {math.prod(extents)} elements",
            rule=f"A tensor may have at most {MAX_ELEMS} elements.",
            remedy="Give smaller extents, or export the model with them.",
        )
