"""The largest or smallest elements of rows, in order, by a stable merge sort of their positions.

Algorithm (Knuth, The Art of Computer Programming 3, 5.2.4, bottom-up): runs of 1, 2, 4, … positions
are merged pairwise between two buffers until one run is left, of which the first ``k`` are the
answer::

    for row in parallel(rows):
      p = 0 … n-1
      for width in 1, 2, 4, …:                     # ceil(log2 n) passes, unrolled
        for each pair of runs: merge by x[row, p]  # the left one first where elements are equal
      values[row, :k], indices[row, :k] = x[row, p[:k]], p[:k]

Equal elements stay in the order of their positions, as ONNX's TopK asks. ``n log2 n`` comparisons
for a row; TVM would call a sort of its own runtime, which a bundle does not carry.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk

__all__ = ["top_k"]


def top_k(name: str, rows: int, extent: int, k: int, dtype: str, *, largest: bool) -> Any:
    """A ``tirx.PrimFunc`` that sorts rows.

    Its parameters are x ``dtype[rows, extent]``, values ``dtype[rows, k]`` and indices
    ``int64[rows, k]``; it needs 8 bytes an element of intermediate memory.

    Args:
        name: its symbol.
        rows: rows, each of which is one task.
        extent: elements of a row.
        k: how many of them are wanted, from 1 to ``extent``.
        dtype: any number.
        largest: descending order, else ascending.
    """

    def emit() -> None:
        x = builder.arg("x", builder.buffer((rows, extent), dtype, align=mk.ANY_ALIGNMENT))
        values = builder.arg("values", builder.buffer((rows, k), dtype, align=mk.ANY_ALIGNMENT))
        indices = builder.arg("indices", builder.buffer((rows, k), "int64", align=mk.ANY_ALIGNMENT))
        runs = [builder.alloc_buffer((rows, extent), "int32") for _ in range(2)]
        with builder.parallel(0, rows) as row:
            with mk.index_loop(extent) as i:
                builder.buffer_store(runs[0], i, [row, i])
            passes = math.ceil(math.log2(extent)) if extent > 1 else 0
            for number in range(passes):
                source, result = runs[number % 2], runs[1 - number % 2]
                _merge_runs(x, source, result, row, extent, 1 << number, largest)
            with mk.index_loop(k) as i:
                place = builder.Bind(runs[passes % 2][row, i])
                builder.buffer_store(values, x[row, place], [row, i])
                builder.buffer_store(indices, tirx.Cast("int64", place), [row, i])

    return mk.kernel_function(name, emit)


def _merge_runs(
    x: Any, source: Any, result: Any, row: Any, extent: int, width: int, largest: bool
) -> None:
    """Merges each two neighbouring runs of ``width`` positions; the last ones may be shorter."""
    with mk.index_loop(math.ceil(extent / (2 * width))) as pair:
        start = builder.Bind(pair * (2 * width))
        middle = builder.Bind(tirx.min(start + width, mk.index(extent)))
        end = builder.Bind(tirx.min(start + 2 * width, mk.index(extent)))
        left, right = (builder.alloc_buffer((1,), "int32") for _ in range(2))
        builder.buffer_store(left, start, [0])
        builder.buffer_store(right, middle, [0])
        with mk.index_loop(end - start) as step:
            # The last run stands alone where the number of runs is odd; positions stay inside.
            from_left = builder.Bind(source[row, tirx.min(left[0], mk.index(extent - 1))])
            from_right = builder.Bind(source[row, tirx.min(right[0], mk.index(extent - 1))])
            first, second = x[row, from_left], x[row, from_right]
            better = second > first if largest else second < first
            take_right = builder.Bind(tirx.any(left[0] >= middle, tirx.all(right[0] < end, better)))
            with builder.If(take_right):
                with builder.Then():
                    builder.buffer_store(result, from_right, [row, start + step])
                    builder.buffer_store(right, right[0] + 1, [0])
                with builder.Else():
                    builder.buffer_store(result, from_left, [row, start + step])
                    builder.buffer_store(left, left[0] + 1, [0])
