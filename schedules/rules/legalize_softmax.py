"""Softmax with one division for each row: TVM's divides every element by the row's sum.

``softmax(x)[i] = exp(x[i] - max(x)) / sum over j of exp(x[j] - max(x))`` (ONNX's Softmax), here
multiplied by the sum's reciprocal, which rounds once more. A division takes four to sixteen times
the cycles of a multiplication.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

__all__ = ["legalize_softmax"]


def legalize_softmax(bb: Any, call: Any) -> Any:
    """Legalize ``relax.nn.softmax`` of floating point."""
    (data,) = call.args
    dtype = str(call.ty.dtype)
    if not dtype.startswith("float"):
        return call
    rank = len(data.ty.shape.values)
    axis = int(call.attrs.axis) % rank

    def softmax(x: Any) -> Any:
        return _softmax(x, axis, dtype)

    return bb.call_te(softmax, data, primfunc_name_hint="softmax")


def _softmax(x: Any, axis: int, dtype: str) -> Any:
    extent = x.shape[axis]
    rows = [*x.shape[:axis], *x.shape[axis + 1 :]]

    def reduced(kind: Any, source: Any, name: str) -> Any:
        along = te.reduce_axis((0, extent), "along")

        def reduce_row(*row: Any) -> Any:
            at = (*row[:axis], along, *row[axis:])
            return kind(source[at], axis=along)

        return te.compute(rows, reduce_row, name=name)

    def row_of(at: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*at[:axis], *at[axis + 1 :])

    largest = reduced(te.max, x, "largest")
    exponentials = te.compute(
        x.shape, lambda *at: tirx.exp(x[at] - largest[row_of(at)]), name="exponentials"
    )
    total = reduced(te.sum, exponentials, "total")
    one = tirx.const(1.0, dtype)
    reciprocal = te.compute(rows, lambda *row: one / total[row], name="reciprocal")
    return te.compute(
        x.shape, lambda *at: exponentials[at] * reciprocal[row_of(at)], name="softmax"
    )
