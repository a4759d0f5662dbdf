"""Accumulators of a reduction in registers: what both ways of reducing share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from edgewright.schedules.rules.algebra import const, replace_loads, substitute
from edgewright.schedules.rules.loops import serial, vector
from edgewright.schedules.rules.stages import Axis, Stage

__all__ = ["Cell", "allocate", "new_cell", "offset_point", "reduction_loops", "stored_vector"]


@dataclass(frozen=True)
class Cell:
    """One vector of results: a register for each output of the stage.

    Attributes:
        stage: the reduction.
        point: values of the spatial axes at lane 0.
        width: lanes.
        registers: local buffers of ``width`` elements.
    """

    stage: Stage
    point: dict[Any, Any]
    width: int
    registers: tuple[Any, ...]

    def combined(self, point: dict[Any, Any], lane: Any) -> list[Any]:
        """Statements that combine the stage's value at ``point`` into one lane."""
        values = [self.expanded(value, point, lane) for value in self.stage.values]
        if len(values) == 1:
            return [tirx.BufferStore(self.registers[0], values[0], [lane])]
        # All values are computed before the first of them is stored.
        binds, stores = [], []
        for register, value in zip(self.registers, values, strict=True):
            var = tirx.Var(f"{register.name}_next", str(register.ty.dtype))
            binds.append(tirx.Bind(var, value))
            stores.append(tirx.BufferStore(register, var, [lane]))
        return [*binds, *stores]

    def finished(self, point: dict[Any, Any], lane: Any) -> list[Any]:
        """Statements that store one lane's results, or what the epilogue makes of them."""
        epilogue = self.stage.epilogue
        if epilogue is not None:
            value = self.expanded(epilogue.value, point, lane)
            index = substitute(epilogue.indices[0], point)
            return [tirx.BufferStore(epilogue.output, value, [index])]
        index = substitute(self.stage.indices[0], point)
        return [
            tirx.BufferStore(output, tirx.BufferLoad(register, [lane]), [index])
            for output, register in zip(self.stage.outputs, self.registers, strict=True)
        ]

    def expanded(self, expr: Any, point: dict[Any, Any], lane: Any) -> Any:
        """``expr`` at a point, with the stage's own results taken from the registers."""
        own = dict(zip(self.stage.outputs, self.registers, strict=True))

        def result(load: Any) -> Any:
            register = own.get(load.source)
            return load if register is None else tirx.BufferLoad(register, [lane])

        return substitute(replace_loads(expr, result), point)


def new_cell(stage: Stage, point: dict[Any, Any], width: int, name: str) -> Cell:
    """A cell with fresh registers.

    They are separate and of ``global`` scope: TVM 0.27 puts small global buffers on the stack,
    where LLVM finds them, but takes memory from its runtime for ``local`` ones and for 1 KB and
    more.
    """
    registers = tuple(
        tirx.decl_buffer((width,), output.ty.dtype, f"{name}_{k}")
        for k, output in enumerate(stage.outputs)
    )
    return Cell(stage, point, width, registers)


def allocate(cells: Sequence[Cell]) -> list[Any]:
    """Statements that allocate the registers of cells."""
    return [tirx.AllocBuffer(register) for cell in cells for register in cell.registers]


def stored_vector(register: Any, width: int, value: Callable[[Any], Any]) -> Any:
    """``register[lane] = value(lane)`` for all lanes at once."""
    return vector(width, lambda lane: [tirx.BufferStore(register, value(lane), [lane])])


def reduction_loops(
    axes: Sequence[Axis],
    body: Callable[[dict[Any, Any]], list[Any]],
    point: dict[Any, Any] | None = None,
) -> list[Any]:
    """Serial loops over reduction axes; the values of their variables are passed to ``body``."""
    point = point or {}
    if not axes:
        return body(point)
    axis, rest = axes[0], axes[1:]
    return [
        serial(
            axis.var.name,
            axis.extent,
            lambda step: reduction_loops(rest, body, {**point, axis.var: step}),
        )
    ]


def offset_point(point: dict[Any, Any], axis: Axis | None, offset: int) -> dict[Any, Any]:
    """A point moved along an axis."""
    if axis is None or offset == 0:
        return point
    return {**point, axis.var: point[axis.var] + const(offset)}
