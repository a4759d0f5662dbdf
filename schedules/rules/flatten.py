"""Dense row-major access: every buffer as one dimension, every axis as long as possible.

On one-dimensional buffers an index is one linear expression, so that axes which are adjacent in
every access merge (``56 x 56`` becomes ``3136``) and a vector's stride is one coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import (
    Coefficients,
    const,
    depends_on,
    int_value,
    nodes_in,
    replace_loads,
    simplify,
    substitute,
    variable,
)
from edgewright.schedules.rules.stages import Axis, Program, Stage, buffer_elems, buffer_shape

__all__ = ["Flat", "bind_axes", "flatten", "merge_axes", "offset_of", "split_axes"]


@dataclass(frozen=True)
class Flat:
    """A program whose buffers have one dimension.

    Attributes:
        stages: as in the program, in the same order.
        views: parameter to the one-dimensional view that the stages use.
        intermediates: one-dimensional, to be allocated at the root.
    """

    stages: tuple[Stage, ...]
    views: dict[Any, Any]
    intermediates: tuple[Any, ...]


def offset_of(buffer: Any, indices: Sequence[Any]) -> Any:
    """Row-major element offset of an access."""
    offset: Any = const(0)
    for extent, index in zip(buffer_shape(buffer) or (), indices, strict=True):
        offset = offset * const(extent) + index
    return offset


def flatten(program: Program) -> Flat:
    """The program over one-dimensional buffers; axes keep their variables."""
    used = [*program.params, *program.intermediates]
    used += [output for stage in program.stages for output in stage.outputs if output not in used]
    flat = {
        buffer: tirx.decl_buffer((buffer_elems(buffer),), buffer.ty.dtype, f"{buffer.name}_flat")
        for buffer in used
    }

    def rewrite(stage: Stage) -> Stage:
        def offset(buffer: Any, indices: Sequence[Any]) -> Any:
            return simplify(offset_of(buffer, indices), stage.extents)

        def load(old: Any) -> Any:
            return tirx.BufferLoad(flat[old.source], [offset(old.source, old.indices)])

        # Loads inside indices are rewritten first, then the index that holds them.
        rewritten = stage.rewritten(lambda expr: replace_loads(expr, load))
        epilogue = rewritten.epilogue
        if epilogue is not None:
            index = offset(epilogue.output, epilogue.indices)
            epilogue = replace(epilogue, output=flat[epilogue.output], indices=(index,))
        return replace(
            rewritten,
            outputs=tuple(flat[output] for output in stage.outputs),
            indices=(offset(stage.outputs[0], rewritten.indices),),
            epilogue=epilogue,
        )

    return Flat(
        tuple(rewrite(stage) for stage in program.stages),
        {param: flat[param] for param in program.params},
        tuple(flat[buffer] for buffer in program.intermediates),
    )


def bind_axes(stage: Stage, values: dict[Any, Any]) -> Stage:
    """The stage with some axes fixed to expressions."""
    if not values:
        return stage
    fixed = stage.rewritten(lambda expr: substitute(expr, values))
    return replace(fixed, axes=tuple(axis for axis in stage.axes if axis.var not in values))


def merge_axes(stage: Stage) -> Stage:
    """Drop axes of one value, and merge neighbours that are one axis in every access.

    ``i, j`` of extents I, J become ``m`` of extent I * J where each index has
    ``coefficient(i) == J * coefficient(j)`` and neither is used outside of indices.
    """
    stage = bind_axes(stage, {axis.var: const(0) for axis in stage.axes if axis.extent == 1})
    position = 0
    while position + 1 < len(stage.axes):
        outer, inner = stage.axes[position], stage.axes[position + 1]
        if outer.reduce == inner.reduce and _mergeable(stage, outer, inner):
            merged = Axis(inner.var, outer.extent * inner.extent, inner.reduce)
            axes = (*stage.axes[:position], merged, *stage.axes[position + 2 :])
            # c * (J * i + j) is c * m: the merged axis keeps the inner variable and coefficient.
            stage = replace(bind_axes(stage, {outer.var: const(0)}), axes=axes)
            position = max(0, position - 1)
        else:
            position += 1
    return stage


def split_axes(stage: Stage) -> Stage:
    """Split axes that are divided in an index, so that the index becomes linear.

    ``x[o // K]`` and ``y[o % K]`` with ``o`` of extent J * K become ``x[a]`` and ``y[b]`` with
    ``o = K * a + b``, as for the groups of a convolution.
    """
    for axis in stage.axes:
        divisor = _common_divisor(stage, axis)
        if divisor is None:
            continue
        outer = Axis(variable(f"{axis.var.name}_group"), axis.extent // divisor, axis.reduce)
        inner = Axis(variable(f"{axis.var.name}_member"), divisor, axis.reduce)
        position = stage.axes.index(axis)
        axes = (*stage.axes[:position], outer, inner, *stage.axes[position + 1 :])
        extents = {a.var: a.extent for a in axes}
        whole = outer.var * const(divisor) + inner.var

        def simple(load: Any, extents: dict[Any, int] = extents) -> Any:
            return tirx.BufferLoad(
                load.source, [simplify(index, extents) for index in load.indices]
            )

        split = stage.rewritten(
            lambda expr, axis=axis, whole=whole: substitute(expr, {axis.var: whole})
        )
        split = split.rewritten(lambda expr, simple=simple: replace_loads(expr, simple))
        stage = replace(split, axes=axes)
    return stage


def _common_divisor(stage: Stage, axis: Axis) -> int | None:
    """The one divisor of the axis in all loads' indices, if it divides the extent."""
    nodes = [
        node
        for load in stage.loads
        for index in load.indices
        for node in nodes_in(index, (tirx.FloorDiv, tirx.FloorMod))
        if node.a.same_as(axis.var)
    ]
    divisors = {int_value(node.b) for node in nodes}
    if len(divisors) != 1:
        return None
    divisor = divisors.pop()
    return divisor if divisor and axis.extent % divisor == 0 else None


def _mergeable(stage: Stage, outer: Axis, inner: Axis) -> bool:
    coefficients = Coefficients()
    accesses = [load.indices[0] for load in stage.loads]
    accesses += [stage.indices[0], stage.store_indices[0]]
    for index in accesses:
        of_outer, of_inner = coefficients.of(index, outer.var), coefficients.of(index, inner.var)
        if of_outer is None or of_inner is None or of_outer != inner.extent * of_inner:
            return False
    pair = (outer.var, inner.var)
    expressions = [*stage.values, *(stage.inits or ())]
    if stage.epilogue is not None:
        expressions.append(stage.epilogue.value)
    return not any(depends_on(_without_loads(expr), pair) for expr in expressions)


def _without_loads(expr: Any) -> Any:
    return replace_loads(expr, lambda load: tirx.const(0, load.ty.dtype))
