"""Emits a Fourier transform's straight-line program on vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_winograd_program import Constants
from edgewright.schedules.cpu.winograd_matrices import LinearProgram, Terms

__all__ = ["run_transform"]


class _Slot:
    """A value in a buffer of one vector, which LLVM keeps in a register or on the stack.

    Bound variables would do the same, but TVM 0.27's ``CommonSubexprElim`` takes time that grows
    with the square of their number: two minutes for a transform of 64 points.
    """

    def __init__(self, value: Any, simd: mk.Simd) -> None:
        self._tile = mk.RegisterTile(1, 1, simd)
        self._tile.set(0, 0, value)

    def get(self) -> Any:
        """The value."""
        return self._tile.get(0, 0)


def run_transform(program: LinearProgram, inputs: Sequence[Any], constants: Constants) -> list[Any]:
    """Emits a program on vectors.

    Args:
        program: the sums.
        inputs: vectors; None for zero.
        constants: the coefficients.

    Returns:
        The outputs; None for zero.
    """
    read = {number for terms in program.steps for number, _ in terms}
    values: list[Any] = list(inputs)
    for number, terms in enumerate(program.steps, start=program.inputs):
        total = _sum(values, terms, constants)
        if total is not None and number in read:
            total = _Slot(total, constants.simd)
        values.append(total)
    return [_read(values[number]) for number in program.outputs]


def _read(value: Any) -> Any:
    """A value as an expression; what no other step reads has no slot."""
    return value.get() if isinstance(value, _Slot) else value


def _sum(values: Sequence[Any], terms: Terms, constants: Constants) -> Any:
    total = None
    for number, coefficient in terms:
        value = _read(values[number])
        if value is None:
            continue
        if total is not None:
            total = constants.add_product(total, value, coefficient)
        elif coefficient == 1:
            total = value
        else:
            product = value * constants(abs(float(coefficient)))
            total = product
            if coefficient < 0:
                total = mk.constant(0.0, constants.simd.lanes) - product
    return total
