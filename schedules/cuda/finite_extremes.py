"""Maxima and minima for threads to share, which TVM knows with finite beginnings only.

TVM recognises a reduction that threads can share by its operator and the number that it begins
with, and of a maximum knows only the least finite number. Reductions of ours begin at infinity
(:mod:`edgewright.schedules.rules.extremes`). So these are scheduled with finite numbers, and
infinity is put back when the kernels are lowered and nothing looks for reductions any more.
"""

from __future__ import annotations

import math
from typing import Any

import tvm_ffi
from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import nodes_in

__all__ = ["FINITE_EXTREMES_ATTR", "with_finite_extremes", "with_infinity_back"]

#: Attribute of a function whose largest finite numbers all stand for infinity.
FINITE_EXTREMES_ATTR = "edgewright.finite_extremes"


def with_finite_extremes(func: Any) -> Any | str:
    """The function with reductions that begin at finite numbers, or why it cannot be.

    A number of the model's own that is the largest finite one could not be told from these.
    """
    if any(_infinity(number) is not None for number in nodes_in(func.body, tirx.FloatImm)):
        return "it has the largest finite number as a constant"

    def number(node: Any) -> Any:
        if not math.isinf(node.value):
            return node
        dtype = str(node.ty.dtype)
        return tirx.min_value(dtype) if node.value < 0 else tirx.max_value(dtype)

    def block(node: Any) -> Any:
        if node.init is None:
            return node
        init = tvm_ffi.structural_map(node.init, [(tirx.FloatImm, number)])
        return s_tir.SBlock(
            node.iter_vars,
            node.reads,
            node.writes,
            node.name_hint,
            node.body,
            init,
            node.alloc_buffers,
            node.match_buffers,
            node.annotations,
        )

    return func.with_body(tvm_ffi.structural_map(func.body, [(s_tir.SBlock, block)]))


def with_infinity_back(func: Any) -> Any:
    """The lowered function with infinity for every largest finite number."""

    def number(node: Any) -> Any:
        found = _infinity(node)
        return node if found is None else found

    return func.with_body(tvm_ffi.structural_map(func.body, [(tirx.FloatImm, number)]))


def _infinity(node: Any) -> Any | None:
    """What a largest finite number stands for; None for any other."""
    dtype = str(node.ty.dtype)
    if node.value == tirx.min_value(dtype).value:
        return tirx.const(-math.inf, dtype)
    if node.value == tirx.max_value(dtype).value:
        return tirx.const(math.inf, dtype)
    return None
