"""Read Relax expressions: what is called, of which shape, with which constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import ir, relax

__all__ = ["constant_array", "is_constant", "op_name", "shape_of", "use_counts", "variables_of"]


def op_name(call: Any) -> str:
    """The name of a called Relax operator, or an empty string."""
    return call.op.name if isinstance(call, ir.Call) and isinstance(call.op, ir.Op) else ""


def shape_of(expr: Any) -> tuple[int, ...]:
    """Static shape of a tensor expression."""
    return tuple(int(extent) for extent in expr.ty.shape)


def is_constant(expr: Any) -> bool:
    """Whether an expression is a constant tensor."""
    return isinstance(expr, ir.GenericConst)


def constant_array(expr: Any) -> npt.NDArray[Any]:
    """The values of a constant tensor; shares its memory, so it may only be read."""
    array: npt.NDArray[Any] = np.from_dlpack(expr.value)
    return array


def variables_of(value: Any) -> list[Any]:
    """The variables that a bound expression uses, in order, each as often as it is used."""
    found: list[Any] = []
    if isinstance(value, relax.Var):
        return [value]
    for part in getattr(value, "args", None) or getattr(value, "fields", None) or ():
        found += variables_of(part)
    if isinstance(value, relax.TupleGetItem):
        found += variables_of(value.tuple_value)
    return found


def use_counts(bindings: Sequence[Any], outputs: Sequence[Any]) -> Counter[Any]:
    """How often each variable is used, by bindings or as an output."""
    counts: Counter[Any] = Counter(outputs)
    for binding in bindings:
        counts.update(variables_of(binding.value))
    return counts
