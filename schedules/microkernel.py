"""Building blocks of the generated kernels: vectors, loops, register tiles, epilogues.

Everything here emits TIR into the ``IRBuilder`` frame that :func:`kernel_function` opens. Kernels
loop from zero and add an offset, because TVM 0.27's ``CanonicalizeLoop`` miscompiles nested loops
that start elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import s_tir, tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules.activations import activated
from edgewright.schedules.simd import (
    Simd,
    VectorArithmetic,
    maximum,
    minimum,
    multiply_add,
    simd_of,
)
from edgewright.schedules.workload import Activation, Conv2dWorkload

__all__ = [
    "ANY_ALIGNMENT",
    "ColumnTiles",
    "RegisterTile",
    "Simd",
    "activate",
    "broadcast",
    "choose",
    "clipped_taps",
    "column_tiles",
    "constant",
    "declare",
    "extract_lane",
    "index",
    "index_loop",
    "interior_rows",
    "kernel_function",
    "load",
    "maximum",
    "minimum",
    "multiply_add",
    "pixel_index",
    "prefetch",
    "simd_of",
    "store",
    "tap_runs",
]

#: Alignment in bytes of tensors whose addresses users choose; kernels' own tensors are 64-aligned.
ANY_ALIGNMENT = 4


def index(value: int) -> Any:
    """An ``int32`` constant."""
    return tirx.IntImm("int32", value)


def constant(value: float, lanes: int) -> Any:
    """A vector of ``lanes`` equal float32 constants."""
    scalar = tirx.FloatImm("float32", value)
    return tirx.Broadcast(scalar, lanes) if lanes > 1 else scalar


def broadcast(value: Any, lanes: int) -> Any:
    """A vector of ``lanes`` copies of the scalar ``value``."""
    return tirx.Broadcast(value, lanes)


def extract_lane(vector: Any, position: int) -> Any:
    """Lane ``position`` of ``vector`` as a scalar; LLVM folds it into by-lane multiply-adds."""
    return tirx.Shuffle([vector], [position])


def load(buffer: Any, indices: Sequence[Any], lanes: int) -> Any:
    """``lanes`` consecutive elements of ``buffer`` from ``indices`` on, bound to a variable."""
    return builder.Bind(buffer[_vector_indices(indices, lanes)])


def prefetch(buffer: Any, position: Any) -> None:
    """Asks for the cache line of element ``position`` of a flat buffer, to be read soon."""
    address = tirx.address_of(buffer[position])
    builder.evaluate(tirx.call_llvm_intrin("void", "llvm.prefetch", address, 0, 3, 1))


def store(buffer: Any, indices: Sequence[Any], value: Any, lanes: int) -> None:
    """Writes the ``lanes`` elements of ``value`` to ``buffer``, beginning at ``indices``."""
    builder.buffer_store(buffer, value, list(_vector_indices(indices, lanes)))


def _vector_indices(indices: Sequence[Any], lanes: int) -> tuple[Any, ...]:
    last = tirx.Ramp(indices[-1], 1, lanes) if lanes > 1 else indices[-1]
    return (*indices[:-1], last)


def declare(name: str, shape: Sequence[int], *, align: int = 0) -> Any:
    """A float32 buffer parameter; ``align`` bytes where given, else 64."""
    return builder.arg(name, builder.buffer(tuple(shape), "float32", align=align))


def choose(cases: Sequence[tuple[Any, Callable[[], None]]]) -> None:
    """Emits ``if … elif … else``; the last case's condition is not looked at."""
    condition, emit = cases[0]
    if len(cases) == 1:
        emit()
        return
    with builder.If(condition):
        with builder.Then():
            emit()
        with builder.Else():
            choose(cases[1:])


@contextmanager
def index_loop(extent: Any, first: Any = 0) -> Iterator[Any]:
    """Loops ``extent`` times from ``first``; a single turn is no loop at all.

    Yields:
        The index, ``first`` included.
    """
    if isinstance(extent, int) and extent == 1:
        yield index(first) if isinstance(first, int) else first
        return
    with builder.serial(0, extent) as counter:
        yield counter if isinstance(first, int) and first == 0 else counter + first


def kernel_function(name: str, emit: Callable[[], None]) -> Any:
    """Builds the ``tirx.PrimFunc`` called ``name`` whose parameters and body ``emit`` emits.

    The body is an ``SBlockRealize``, as Relax asks of a function that it calls, and the function
    is marked opaque (pattern 8), so that no fusion pass looks inside. Buffers allocated outside of
    the parallel loops belong to its root block, where the compiler finds what outlives a loop::

        t = alloc_buffer(…)                   # of the block
        for i in parallel(n): t[…] = f(x)
        for i in parallel(m): y[…] = g(t)
    """
    with IRBuilder() as ir_builder, builder.prim_func(s_tir=True):
        builder.func_name(name)
        builder.func_attr({"tirx.noalias": True, "global_symbol": name, "op_pattern": 8})
        emit()
    function = ir_builder.get()
    body, buffers = function.body, []
    if isinstance(body, tirx.SeqStmt):
        buffers = [s.buffer for s in body.seq if isinstance(s, tirx.AllocBuffer)]
        phases = [s for s in body.seq if not isinstance(s, tirx.AllocBuffer)]
        body = tirx.SeqStmt(phases) if len(phases) > 1 else phases[0]
    block = s_tir.SBlock([], [], [], "root", body, alloc_buffers=buffers)
    return function.with_body(s_tir.SBlockRealize([], tirx.const(True, "bool"), block))


def pixel_index(row: Any, width: int, column: Any) -> Any:
    """Position of a pixel that exists in its image of ``width`` columns, bound to a variable.

    The maximum with 0 changes nothing. It hides the negative constants of paddings from LLVM, which
    would put them into every address, where AArch64 has no room for them.
    """
    return builder.Bind(tirx.max(index(0), row * width + column))


def activate(value: Any, activation: Activation | None, simd: Simd) -> Any:
    """``activation(value)`` on vectors; NaN stays NaN.

    Raises:
        ValueError: the kind is not one that kernels fuse (see ``workload.FUSED_ACTIVATIONS``).
    """
    if activation is None:
        return value
    return activated(builder.Bind(value), activation, VectorArithmetic(simd))


class RegisterTile:
    """Accumulators of ``rows`` x ``columns`` vectors, which LLVM keeps in registers.

    Each is a buffer of one vector: a larger one would be a workspace allocation in TVM.
    """

    def __init__(self, rows: int, columns: int, simd: Simd) -> None:
        self.rows = rows
        self.columns = columns
        self.simd = simd
        self.lanes = lanes = simd.lanes
        self._vectors = [
            [builder.alloc_buffer((lanes,), "float32") for _ in range(columns)] for _ in range(rows)
        ]

    def get(self, row: int, column: int) -> Any:
        """The vector's value."""
        buffer = self._vectors[row][column]
        return buffer[_vector_indices((index(0),), self.lanes)]

    def set(self, row: int, column: int, value: Any) -> None:
        """Replaces the vector's value."""
        store(self._vectors[row][column], (index(0),), value, self.lanes)

    def multiply_add(self, row: int, column: int, left: Any, right: Any) -> None:
        """``tile[row, column] += left * right``."""
        self.set(row, column, multiply_add(self.get(row, column), left, right, self.simd))

    def fill(self, row_values: Sequence[Any]) -> None:
        """Sets every vector of a row to the row's value."""
        for row, value in enumerate(row_values):
            for column in range(self.columns):
                self.set(row, column, value)


@dataclass(frozen=True)
class ColumnTiles:
    """A run of equal output-column tiles: ``count`` tiles of ``width`` columns from ``start``.

    Attributes:
        missing: pairs (column in the tile, kernel column) whose input lies in the padding.
    """

    start: int
    count: int
    width: int
    missing: frozenset[tuple[int, int]]


def column_tiles(
    *, in_w: int, out_w: int, tile: int, kernel: int, stride: int, pad: int, dilation: int
) -> list[ColumnTiles]:
    """Cuts an output row into runs of tiles that need equal code.

    Instead of a padded copy of the input, tiles at the edges get code of their own that leaves the
    missing products out::

        |left|middle|middle|...|right|tail|   ->   [left x1, middle xn, right x1, tail x1]
    """
    runs: list[ColumnTiles] = []
    for start in range(0, out_w, tile):
        width = min(tile, out_w - start)
        missing = frozenset(
            (i, kw)
            for i in range(width)
            for kw in range(kernel)
            if not 0 <= (start + i) * stride + kw * dilation - pad < in_w
        )
        if runs and (runs[-1].width, runs[-1].missing) == (width, missing):
            last = runs.pop()
            runs.append(ColumnTiles(last.start, last.count + 1, width, missing))
        else:
            runs.append(ColumnTiles(start, 1, width, missing))
    return runs


def tap_runs(tiles: ColumnTiles, kernel: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """Groups kernel columns that touch the same output columns: ``(first, count, columns)``.

    Kernel columns that touch none are left out.
    """
    runs: list[tuple[int, int, tuple[int, ...]]] = []
    for kw in range(kernel):
        columns = tuple(i for i in range(tiles.width) if (i, kw) not in tiles.missing)
        if not columns:
            continue
        if runs and runs[-1][2] == columns and runs[-1][0] + runs[-1][1] == kw:
            first, count, _ = runs.pop()
            runs.append((first, count + 1, columns))
        else:
            runs.append((kw, 1, columns))
    return runs


def clipped_taps(
    out_index: Any, *, in_extent: int, kernel: int, stride: int, pad: int, dilation: int, out: int
) -> tuple[Any, Any]:
    """Kernel rows whose input row exists, for output row ``out_index``: ``(first, count)``.

    Plain integers where every one of the ``out`` output rows sees all of the kernel.
    """
    last_needed = (out - 1) * stride + (kernel - 1) * dilation - pad
    if pad == 0 and last_needed < in_extent:
        return 0, kernel
    top = pad - out_index * stride
    if dilation == 1:
        first, end = tirx.max(index(0), top), tirx.min(index(kernel), top + in_extent)
    else:
        rounded = tirx.floordiv(top + (dilation - 1), dilation)
        first = tirx.max(index(0), rounded)
        beyond = tirx.floordiv(top + (in_extent + dilation - 1), dilation)
        end = tirx.min(index(kernel), beyond)
    first = builder.Bind(first)
    return first, builder.Bind(tirx.max(index(0), end - first))


def interior_rows(workload: Conv2dWorkload) -> tuple[int, int]:
    """First and one past the last output row that sees all kernel rows."""
    w = workload
    first = math.ceil(w.pad_top / w.stride_h)
    reach = w.in_h - 1 + w.pad_top - (w.kernel_h - 1) * w.dilation_h
    end = min(w.out_h, reach // w.stride_h + 1) if reach >= 0 else 0
    return first, max(first, end)
