"""Coordinates computed once instead of for every channel.

Resizing computes, for each output element, where its row and column come from, in floating point;
the average pool counts the elements of a window that are not padding. Such values depend on one or
two axes and on no data.

Before::

    for c, h, w: y[c, h, w] = x[c, int(floor(h * 0.5)), int(floor(w * 0.5))]

After::

    for h: rows[h] = int(floor(h * 0.5))
    for w: columns[w] = int(floor(w * 0.5))
    for c, h, w: y[c, h, w] = x[c, rows[h], columns[w]]
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import tvm_ffi
from tvm import ir, tirx

from edgewright.schedules.rules.algebra import bounds, loads_in, nodes_in, substitute, variable
from edgewright.schedules.rules.stages import Axis, Program, Stage

__all__ = ["hoist_index_tables"]

#: A table is read at least this many times for each of its elements.
_READS = 8
#: Stages with fewer results are not worth another launch.
_LEAST_POINTS = 4096
_INT32 = (-(1 << 31), (1 << 31) - 1)


def hoist_index_tables(program: Program) -> Program:
    """Move costly expressions of few axes and no data into stages of their own, first of all."""
    tables: list[Stage] = []
    stages = tuple(_with_tables(stage, tables) for stage in program.stages)
    if not tables:
        return program
    buffers = tuple(table.outputs[0] for table in tables)
    return Program(program.params, (*buffers, *program.intermediates), (*tables, *stages))


def _with_tables(stage: Stage, tables: list[Stage]) -> Stage:
    points = math.prod(axis.extent for axis in stage.spatial)
    if points < _LEAST_POINTS:
        return stage
    known: list[tuple[Any, Any]] = []

    def visit(node: Any, mutator: Any) -> Any:
        if not _is_costly(node):
            return node
        axes = _axes_of(node, stage)
        worth = axes and math.prod(axis.extent for axis in axes) * _READS <= points
        if not worth or loads_in(node):
            return mutator.default_mutate(node)
        for expr, load in known:
            if tvm_ffi.structural_equal(expr, node):
                return load
        load = _tabulated(node, axes, stage, tables)
        known.append((node, load))
        return load

    def rewrite(expr: Any) -> Any:
        return tvm_ffi.structural_mutate(expr, [(ir.Expr, visit)])

    epilogue = stage.epilogue
    if epilogue is not None:
        epilogue = replace(epilogue, value=rewrite(epilogue.value))
    return replace(stage, values=tuple(rewrite(v) for v in stage.values), epilogue=epilogue)


def _is_costly(node: Any) -> bool:
    """Whether it converts between integers and floating point, as computing coordinates does."""
    return any(
        str(cast.ty.dtype).startswith("float") != str(cast.value.ty.dtype).startswith("float")
        for cast in nodes_in(node, tirx.Cast)
    )


def _axes_of(node: Any, stage: Stage) -> tuple[Axis, ...]:
    used = set(nodes_in(node, ir.Var))
    axes = tuple(axis for axis in stage.axes if axis.var in used)
    return () if any(axis.reduce for axis in axes) else axes


def _tabulated(node: Any, axes: tuple[Axis, ...], stage: Stage, tables: list[Stage]) -> Any:
    """A load that replaces ``node``; its table is appended to ``tables``."""
    dtype = stored = str(node.ty.dtype)
    if dtype == "int64":
        low, high = bounds(node, stage.extents)
        # Loads of indices are cheaper by half, on 32-bit cores by far more.
        stored = "int32" if low >= _INT32[0] and high <= _INT32[1] else dtype
    name = f"table{len(tables)}"
    buffer = tirx.decl_buffer([axis.extent for axis in axes], stored, name)
    own = tuple(Axis(variable(axis.var.name), axis.extent, False) for axis in axes)
    value = substitute(node, {a.var: b.var for a, b in zip(axes, own, strict=True)})
    if stored != dtype:
        value = tirx.Cast(stored, value)
    tables.append(Stage(name, own, (buffer,), tuple(axis.var for axis in own), (value,)))
    load = tirx.BufferLoad(buffer, [axis.var for axis in axes])
    return tirx.Cast(dtype, load) if stored != dtype else load
