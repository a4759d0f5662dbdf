"""What an unscheduled PrimFunc computes, read into plain records.

``LegalizeOps`` and ``FuseTIR`` give functions whose root block is a sequence of perfect loop
nests, each around one block that stores one element (or one element of each of several buffers).
Such a nest is a
:class:`Stage`; the order and kind of its loops carry no meaning and are dropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import int_value, loads_in, substitute, without_lets

__all__ = [
    "Axis",
    "Epilogue",
    "Program",
    "Stage",
    "buffer_elems",
    "buffer_shape",
    "read_program",
    "root_nests",
    "with_dense_params",
]

_DATA_PARALLEL, _COMM_REDUCE = 0, 2


@dataclass(frozen=True)
class Axis:
    """One dimension of a stage's iteration space, running over [0, extent).

    Attributes:
        var: the ``int64`` variable the stage's expressions use.
        extent: number of values.
        reduce: whether it is reduced over; its order of iteration is free.
    """

    var: Any
    extent: int
    reduce: bool


@dataclass(frozen=True)
class Epilogue:
    """What is stored once a reduction's result is known, instead of the result itself.

    Attributes:
        output: buffer written.
        indices: where, in the reduction's spatial axes.
        value: what; loads of the reduction's own outputs stand for its results.
    """

    output: Any
    indices: tuple[Any, ...]
    value: Any


@dataclass(frozen=True)
class Stage:
    """``outputs[k][indices] = values[k]`` for every point of the axes.

    Attributes:
        name: the block's name.
        axes: spatial and reduction axes.
        outputs: buffers written; more than one for a reduction of tuples, such as argmax.
        indices: where, the same for all outputs.
        values: what; of a reduction, the combined value, which loads ``outputs[k][indices]``.
        inits: of a reduction, the value before the first combination; else None.
        epilogue: of a reduction, what is stored in place of the result; the outputs are then never
            in memory.
    """

    name: str
    axes: tuple[Axis, ...]
    outputs: tuple[Any, ...]
    indices: tuple[Any, ...]
    values: tuple[Any, ...]
    inits: tuple[Any, ...] | None = None
    epilogue: Epilogue | None = None

    @property
    def written(self) -> tuple[Any, ...]:
        """Buffers that are in memory when the stage is done."""
        return self.outputs if self.epilogue is None else (self.epilogue.output,)

    @property
    def store_indices(self) -> tuple[Any, ...]:
        """Indices of what is stored to memory."""
        return self.indices if self.epilogue is None else self.epilogue.indices

    @property
    def loads(self) -> list[Any]:
        """Loads from memory: all but those of the stage's own results."""
        expressions = self.values if self.epilogue is None else (*self.values, self.epilogue.value)
        found = [load for expression in expressions for load in loads_in(expression)]
        return [load for load in found if load.source not in self.outputs]

    @property
    def spatial(self) -> tuple[Axis, ...]:
        """Axes that are not reduced over."""
        return tuple(axis for axis in self.axes if not axis.reduce)

    @property
    def reduction(self) -> tuple[Axis, ...]:
        """Axes that are reduced over."""
        return tuple(axis for axis in self.axes if axis.reduce)

    @property
    def points(self) -> int:
        """Number of iterations."""
        return math.prod(axis.extent for axis in self.axes)

    @property
    def extents(self) -> dict[Any, int]:
        """Extent of each axis variable."""
        return {axis.var: axis.extent for axis in self.axes}

    def rewritten(self, rewrite: Any) -> Stage:
        """A copy with ``rewrite`` applied to every expression."""
        epilogue = self.epilogue
        if epilogue is not None:
            epilogue = replace(
                epilogue,
                indices=tuple(rewrite(index) for index in epilogue.indices),
                value=rewrite(epilogue.value),
            )
        return replace(
            self,
            indices=tuple(rewrite(index) for index in self.indices),
            values=tuple(rewrite(value) for value in self.values),
            inits=None if self.inits is None else tuple(rewrite(init) for init in self.inits),
            epilogue=epilogue,
        )


@dataclass(frozen=True)
class Program:
    """A whole function: its parameters, intermediates and stages in order.

    Attributes:
        params: buffer parameters, inputs first.
        intermediates: buffers allocated at the root.
        stages: in an order in which each reads only what is already written.
    """

    params: tuple[Any, ...]
    intermediates: tuple[Any, ...]
    stages: tuple[Stage, ...]

    def readers(self, buffer: Any) -> list[Stage]:
        """Stages that load from ``buffer``, other than the one that writes it."""
        return [
            stage
            for stage in self.stages
            if any(load.source.same_as(buffer) for load in stage.loads)
        ]

    def with_stages(self, stages: tuple[Stage, ...]) -> Program:
        """The program of other stages, keeping only the intermediates that they still write."""
        written = {buffer for stage in stages for buffer in stage.written}
        return Program(self.params, tuple(b for b in self.intermediates if b in written), stages)


def buffer_shape(buffer: Any) -> tuple[int, ...] | None:
    """The buffer's static shape, or None if a dimension is symbolic."""
    extents = [int_value(dim) for dim in buffer.ty.shape]
    return None if None in extents else tuple(e for e in extents if e is not None)


def buffer_elems(buffer: Any) -> int:
    """Number of elements of a buffer of static shape."""
    return math.prod(buffer_shape(buffer) or ())


def with_dense_params(func: Any) -> Any:
    """The function with parameters at offset 0, as its callers pass them.

    Functions written with ``te.extern`` have parameters of symbolic offset.
    """
    dense: dict[Any, Any] = {}
    for param in func.params:
        if tirx.is_buffer_var(param) and int_value(param.ty.elem_offset) != 0:
            dense[param] = tirx.decl_buffer(param.ty.shape, param.ty.dtype, param.name)
    if not dense:
        return func
    params = [dense.get(param, param) for param in func.params]
    return tirx.PrimFunc(params, substitute(func.body, dense), func.ret_type, func.attrs)


def root_nests(func: Any) -> tuple[list[Any], list[Any]] | None:
    """Top-level statements and allocations of the root block, or None if there is no root block."""
    realize = func.body
    if not isinstance(realize, s_tir.SBlockRealize) or realize.block.iter_vars:
        return None
    body = realize.block.body
    nests = list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]
    return nests, list(realize.block.alloc_buffers)


def read_program(func: Any) -> Program | None:
    """The function as a :class:`Program`, or None if some part is not a plain stage."""
    root = root_nests(func)
    if root is None:
        return None
    nests, intermediates = root
    buffers = [*func.params, *intermediates]
    if not all(_is_dense(buffer) for buffer in buffers):
        return None
    stages = [_read_stage(nest) for nest in nests]
    plain = tuple(stage for stage in stages if stage is not None)
    if len(plain) != len(stages):
        return None
    written = [output for stage in plain for output in stage.outputs]
    if len(set(written)) != len(written) or not set(written) <= set(buffers):
        return None
    return Program(tuple(func.params), tuple(intermediates), plain)


def _is_dense(buffer: Any) -> bool:
    if not tirx.is_buffer_var(buffer) or buffer.ty.strides:
        return False
    return buffer_shape(buffer) is not None and int_value(buffer.ty.elem_offset) == 0


def _read_stage(nest: Any) -> Stage | None:
    extents: dict[Any, int] = {}
    while isinstance(nest, tirx.For):
        extent = int_value(nest.extent)
        if int_value(nest.min) != 0 or extent is None or nest.kind != tirx.ForKind.SERIAL:
            return None
        extents[nest.loop_var] = extent
        nest = nest.body
    if not isinstance(nest, s_tir.SBlockRealize) or int_value(nest.predicate) != 1:
        return None
    block = nest.block
    if block.alloc_buffers or block.match_buffers:
        return None
    axes = _read_axes(block.iter_vars, nest.iter_values, extents)
    stores = _read_stores(block.body)
    inits = _read_stores(block.init) if block.init is not None else ()
    if axes is None or not stores or inits is None:
        return None
    reduces = any(axis.reduce for axis in axes)
    outputs, indices, values = zip(*stores, strict=True)
    if any(list(index) != list(indices[0]) for index in indices) or reduces != bool(inits):
        return None
    if inits and [init[0] for init in inits] != list(outputs):
        return None
    return Stage(
        name=str(block.name_hint),
        axes=axes,
        outputs=outputs,
        indices=tuple(indices[0]),
        values=values,
        inits=tuple(init[2] for init in inits) if inits else None,
    )


def _read_axes(iter_vars: Any, bindings: Any, extents: dict[Any, int]) -> tuple[Axis, ...] | None:
    """Axes of a block whose variables are bound one to one to loops, or to 0 with extent 1."""
    axes: list[Axis] = []
    unbound = dict(extents)
    for iter_var, binding in zip(iter_vars, bindings, strict=True):
        extent = int_value(iter_var.dom.extent)
        if int_value(iter_var.dom.min) != 0 or extent is None:
            return None
        if iter_var.iter_type not in (_DATA_PARALLEL, _COMM_REDUCE):
            return None
        bound_to_loop = unbound.pop(binding, None) == extent
        if not bound_to_loop and not (extent == 1 and int_value(binding) == 0):
            return None
        axes.append(Axis(iter_var.var, extent, iter_var.iter_type == _COMM_REDUCE))
    return None if any(extent != 1 for extent in unbound.values()) else tuple(axes)


def _read_stores(body: Any) -> tuple[tuple[Any, tuple[Any, ...], Any], ...] | None:
    """(buffer, indices, value) of each store, with ``Bind`` values substituted into them."""
    statements = list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]
    bound: dict[Any, Any] = {}
    stores: list[tuple[Any, tuple[Any, ...], Any]] = []
    for statement in statements:
        if isinstance(statement, tirx.Bind) and not stores:
            bound[statement.var] = without_lets(substitute(statement.value, bound))
        elif isinstance(statement, tirx.BufferStore):
            value = without_lets(substitute(statement.value, bound))
            if any(load.source.same_as(s[0]) for s in stores for load in loads_in(statement.value)):
                return None  # a later store that reads what an earlier one wrote
            stores.append((statement.buffer, tuple(statement.indices), value))
        else:
            return None
    return tuple(stores)
