"""ONNX's TopK as a call of our own sort, along the last axis."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax

__all__ = ["import_top_k"]


def import_top_k(
    importer: Any, data: Any, count: int, axis: int, *, largest: bool, node: str
) -> Any:
    """Emit the sort; another axis is transposed to the end and back.

    Args:
        importer: has the block builder ``bb`` and ``emit``.
        data: a variable of static shape.
        count: how many elements are wanted.
        axis: along which.
        largest: descending order, else ascending.
        node: name of the ONNX node.

    Returns:
        A Relax tuple of values and int64 indices.

    Raises:
        ValueError: there are fewer elements than are wanted, or none is.
    """
    from edgewright.schedules.cpu.top_k import top_k

    shape = [int(extent) for extent in data.ty.shape]
    dtype, rank = str(data.ty.dtype), len(shape)
    axis %= rank
    extent = shape[axis]
    if not 0 < count <= extent:
        raise ValueError(f"k is {count}, and the axis has {extent} elements")
    order = [*range(axis), *range(axis + 1, rank), axis]
    back = [order.index(i) for i in range(rank)]
    moved = [shape[i] for i in order]
    if axis != rank - 1:
        data = importer.emit(relax.op.permute_dims(data, order), node)
    rows = math.prod(moved[:-1])
    flat = importer.emit(relax.op.reshape(data, (rows, extent)), node)
    name = f"{dtype}_top_k_{'largest' if largest else 'smallest'}_r{rows}n{extent}k{count}"
    function = importer.bb.add_func(top_k(name, rows, extent, count, dtype, largest=largest), name)
    types = [relax.TensorType((rows, count), kind) for kind in (dtype, "int64")]
    both = importer.emit(relax.call_tir(function, [flat], types), node)
    results = []
    for index in range(2):
        part = importer.emit(relax.TupleGetItem(both, index), node)
        part = importer.emit(relax.op.reshape(part, (*moved[:-1], count)), node)
        if axis != rank - 1:
            part = importer.emit(relax.op.permute_dims(part, back), node)
        results.append(part)
    return relax.Tuple(results)
