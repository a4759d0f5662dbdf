"""Maxima and minima that begin at infinity."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import greatest, least

__all__ = ["with_infinite_extremes"]


def with_infinite_extremes(func: Any) -> Any:
    """The function with reductions begun at infinity where TVM begins at the largest finite number.

    TVM's maximum of numbers that are all minus infinity is -3.4e38, which is wrong, and makes a NaN
    of nothing in what masks whole rows of attention.
    """

    def number(node: Any) -> Any:
        dtype = str(node.ty.dtype)
        for finite, infinite in (
            (tirx.min_value(dtype), least(dtype)),
            (tirx.max_value(dtype), greatest(dtype)),
        ):
            if node.value == finite.value:
                return infinite
        return node

    def block(node: Any) -> Any:
        if node.init is None:
            return node
        return s_tir.SBlock(
            node.iter_vars,
            node.reads,
            node.writes,
            node.name_hint,
            node.body,
            tvm_ffi.structural_map(node.init, [(tirx.FloatImm, number)]),
            node.alloc_buffers,
            node.match_buffers,
            node.annotations,
        )

    return func.with_body(tvm_ffi.structural_map(func.body, [(s_tir.SBlock, block)]))
