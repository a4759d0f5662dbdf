"""Make stages fewer: producers into their consumers, epilogues into their reductions.

Before::

    for i: a[i] = x[i] * 2          for i: for k: s[i] += a[i, k]
    for i: b[i] = a[i] + y[i]       for i: r[i] = s[i] / n

After::

    for i: b[i] = x[i] * 2 + y[i]   for i: { for k: s += x[i, k] * 2; r[i] = s / n }
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import ir, tirx

from edgewright.schedules.rules.algebra import (
    IF_THEN_ELSE,
    calls_in,
    const,
    loads_in,
    nodes_in,
    replace_loads,
    simplify,
    substitute,
)
from edgewright.schedules.rules.stages import Epilogue, Program, Stage, buffer_shape

__all__ = ["fold_epilogues", "inline_producers"]

#: Nodes of an expression that costs about as little as loading its value does.
_CHEAP_NODES = 12
#: An expression does not grow beyond this many nodes.
_MOST_NODES = 600
#: Calls that cost no more than an addition.
_CHEAP_CALLS = {IF_THEN_ELSE, "prim.likely", "tirx.fabs", "tirx.sqrt", "tirx.floor"}


def inline_producers(program: Program) -> Program:
    """Substitute map stages into what reads them, wherever that costs no more than it saves.

    1. A value that is read once for each time it is written is inlined.
    2. A cheap value (a few additions, no division, no transcendental function) is inlined into
       other maps even if it is then computed several times.
    3. Into a reduction that reads each element many times only a reshape is inlined: a condition,
       such as that of padding, would stay in its innermost loop.
    """
    for producer in program.stages:
        if not _is_plain_map(producer) or producer.outputs[0] not in program.intermediates:
            continue
        current = next(s for s in program.stages if s.outputs == producer.outputs)
        readers = program.readers(current.outputs[0])
        if readers and _worth_inlining(current, readers):
            stages = tuple(
                _inlined(stage, current) if stage in readers else stage
                for stage in program.stages
                if stage is not current
            )
            program = program.with_stages(stages)
    return program


def _is_plain_map(stage: Stage) -> bool:
    """Whether it stores one buffer, element [v0, v1, …] at the point (v0, v1, …)."""
    return not stage.reduction and len(stage.outputs) == 1 and _axis_of_each_dim(stage) is not None


def _axis_of_each_dim(stage: Stage) -> dict[Any, int] | None:
    """The buffer dimension each spatial axis of more than one value indexes, if it is a bijection.

    Axes of one value count as absent, as do dimensions of one element.
    """
    dims: dict[Any, int] = {}
    extents = {axis.var: axis.extent for axis in stage.spatial if axis.extent > 1}
    shape = buffer_shape(stage.outputs[0]) or ()
    for dim, index in enumerate(stage.indices):
        if shape[dim] == 1:
            continue
        if extents.get(index) != shape[dim] or index in dims:
            return None
        dims[index] = dim
    return dims if len(dims) == len(extents) else None


def _worth_inlining(producer: Stage, readers: list[Stage]) -> bool:
    value, buffer = producer.values[0], producer.outputs[0]
    evaluations = 0
    for reader in readers:
        loads = sum(load.source.same_as(buffer) for load in reader.loads)
        evaluations += loads * reader.points
        size = loads * len(nodes_in(value, ir.Expr))
        size += sum(len(nodes_in(v, ir.Expr)) for v in reader.values)
        if size > _MOST_NODES:
            return False
    once = evaluations <= producer.points
    if any(reader.reduction for reader in readers):
        if _is_reshape(producer):
            return True
        return once and IF_THEN_ELSE not in calls_in(value)
    return once or _is_cheap(value)


def _is_cheap(value: Any) -> bool:
    return (
        len(nodes_in(value, ir.Expr)) <= _CHEAP_NODES * (1 + len(loads_in(value)))
        and set(calls_in(value)) <= _CHEAP_CALLS
        and not nodes_in(value, tirx.Div)
    )


def _is_reshape(producer: Stage) -> bool:
    """Whether it copies element for element in row-major order."""
    value = producer.values[0]
    if not isinstance(value, ir.TensorLoad) or loads_in(value) != [value]:
        return False
    extents = producer.extents
    source = simplify(_row_major(value.source, value.indices), extents)
    target = simplify(_row_major(producer.outputs[0], producer.indices), extents)
    return bool(tvm_ffi.structural_equal(source, target))


def _row_major(buffer: Any, indices: Any) -> Any:
    offset: Any = const(0)
    for extent, index in zip(buffer_shape(buffer) or (), indices, strict=True):
        offset = offset * const(extent) + index
    return offset


def _inlined(stage: Stage, producer: Stage) -> Stage:
    buffer, value = producer.outputs[0], producer.values[0]
    dims = _axis_of_each_dim(producer) or {}

    def expand(load: Any) -> Any:
        if not load.source.same_as(buffer):
            return load
        point = {axis.var: const(0) for axis in producer.axes}
        point.update({var: load.indices[dim] for var, dim in dims.items()})
        return substitute(value, point)

    return stage.rewritten(lambda expr: replace_loads(expr, expand))


def fold_epilogues(program: Program) -> Program:
    """Let a reduction store what the one map that reads its result makes of it.

    The map must visit the result's elements one for one. The folded stage takes the map's place.
    """
    for stage in program.stages:
        if not stage.reduction or not set(stage.outputs) <= set(program.intermediates):
            continue
        readers = {id(r): r for output in stage.outputs for r in program.readers(output)}
        if len(readers) != 1:
            continue
        reader = next(iter(readers.values()))
        epilogue = _as_epilogue(stage, reader)
        if epilogue is not None:
            folded = Stage(
                stage.name,
                stage.axes,
                stage.outputs,
                stage.indices,
                stage.values,
                stage.inits,
                epilogue,
            )
            stages = (folded if s is reader else s for s in program.stages if s is not stage)
            program = program.with_stages(tuple(stages))
    return program


def _as_epilogue(stage: Stage, reader: Stage) -> Epilogue | None:
    produced, dims = _axis_of_each_dim(stage), _axis_of_each_dim(reader)
    if produced is None or dims is None or reader.reduction or stage.epilogue is not None:
        return None
    axis_at = {dim: var for var, dim in produced.items()}
    point: dict[Any, Any] = {axis.var: const(0) for axis in reader.axes if axis.extent == 1}
    shape = buffer_shape(stage.outputs[0]) or ()
    for load in reader.loads:
        if load.source not in stage.outputs:
            continue
        for dim, index in enumerate(load.indices):
            if shape[dim] == 1:
                continue
            if reader.extents.get(index) != shape[dim]:
                return None
            if not point.setdefault(index, axis_at[dim]).same_as(axis_at[dim]):
                return None
    mapped = [var for var in point.values() if not isinstance(var, tirx.IntImm)]
    if set(reader.extents) != set(point) or len(set(mapped)) != len(mapped):
        return None
    if {axis.var for axis in stage.spatial if axis.extent > 1} != set(mapped):
        return None
    return Epilogue(
        reader.outputs[0],
        tuple(substitute(index, point) for index in reader.indices),
        substitute(reader.values[0], point),
    )
