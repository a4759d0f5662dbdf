"""Emits straight-line programs of linear sums on vectors, with their coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.winograd_matrices import LinearProgram, Terms

__all__ = ["Buffers", "Constants", "Place", "groups_of", "run_program"]


@dataclass(frozen=True)
class Buffers:
    """The kernel's buffers, and where the parts of the scratch memory begin.

    Attributes:
        x, weights, bias, residual, scratch, y: parameters; None for those that it lacks.
        transformed: holds ``V``: the scratch memory, or one that all tasks share.
        products, strip: first elements of ``M`` and of the strip in ``scratch``.
        inputs: first element of a block's ``V`` in ``transformed``.
    """

    x: Any
    weights: Any
    bias: Any
    residual: Any
    scratch: Any
    y: Any
    transformed: Any
    products: int
    strip: int
    inputs: Any


@dataclass(frozen=True)
class Place:
    """Where a task's tiles are: number of their block, image, first tiles, tile rows that exist."""

    number: Any
    batch: Any
    first_row: Any
    first_col: Any
    rows: Any


class Constants:
    """Coefficients of the transforms as vectors.

    Instruction sets that multiply by one lane of a vector read them, four to a register, from the
    head of the packed weights: a transform of eight points has more coefficients than registers.

    Args:
        programs: the programs whose coefficients are needed.
        simd: the instruction set's vectors.
    """

    def __init__(self, programs: Sequence[LinearProgram], simd: mk.Simd) -> None:
        self.simd = simd
        values = {float(c) for program in programs for c in program.constants()}
        self.table = sorted(values) if simd.by_lane and simd.lanes > 1 else []
        self._vectors: list[Any] = []

    @property
    def elements(self) -> int:
        """Elements at the head of the packed weights, a multiple of 16."""
        return math.ceil(len(self.table) / 16) * 16

    def load(self, weights: Any) -> None:
        """Reads the table; coefficients of the enclosing loops come from it from here on."""
        lanes = self.simd.lanes
        count = math.ceil(len(self.table) / lanes)
        self._vectors = [mk.load(weights, (mk.index(i * lanes),), lanes) for i in range(count)]

    def __call__(self, value: float) -> Any:
        """A vector of copies of a positive coefficient."""
        lanes = self.simd.lanes
        if value in self.table:
            place = self.table.index(value)
            lane = mk.extract_lane(self._vectors[place // lanes], place % lanes)
            return mk.broadcast(lane, lanes)
        return mk.constant(value, lanes)

    def add_product(self, total: Any, value: Any, coefficient: Fraction) -> Any:
        """``total + value * coefficient``."""
        if coefficient == 1:
            return total + value
        if coefficient == -1:
            return total - value
        if self.simd.call_fma:
            factor = mk.constant(float(coefficient), self.simd.lanes)
            return mk.multiply_add(total, value, factor, self.simd)
        product = value * self(abs(float(coefficient)))
        return total + product if coefficient > 0 else total - product


def run_program(
    program: LinearProgram, inputs: Sequence[Any], constants: Constants, addend: Any = None
) -> list[Any]:
    """Emits a program on vectors.

    Args:
        program: the sums.
        inputs: vectors; None for zero.
        constants: the coefficients.
        addend: a vector that is added to every output.

    Returns:
        The outputs as variables; None for zero.
    """
    values = list(inputs)
    for number, terms in enumerate(program.steps, start=program.inputs):
        start = addend if number in program.outputs else None
        values.append(_sum(values, terms, constants, start))
    return [values[number] for number in program.outputs]


def _sum(values: Sequence[Any], terms: Terms, constants: Constants, start: Any) -> Any:
    total = start
    for number, coefficient in terms:
        value = values[number]
        if value is None:
            continue
        if total is not None:
            total = constants.add_product(total, value, coefficient)
        elif coefficient == 1:
            total = value
        else:
            factor = constants(abs(float(coefficient)))
            product = value * factor
            total = product if coefficient > 0 else mk.constant(0.0, constants.simd.lanes) - product
    return None if total is None else builder.Bind(total)


def groups_of(extent: int, width: int) -> list[tuple[int, int, int]]:
    """Cuts an axis into (first, groups, width): groups of ``width``, then what is left."""
    whole = extent // width
    parts = [(0, whole, width)] if whole else []
    if extent % width:
        parts.append((whole * width, 1, extent % width))
    return parts
