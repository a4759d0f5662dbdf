"""What every scheduled function promises to the stages behind it, as a check."""

from __future__ import annotations

import math
from typing import Any

from tvm import s_tir, tirx

from edgewright.schedules.rules.algebra import int_value, nodes_in
from edgewright.schedules.rules.stages import buffer_shape, root_nests
from edgewright.spec.tensor import ITEM_BYTES

__all__ = ["MOST_LOCAL_BYTES", "allocations_in", "buffer_bytes", "violations"]

#: A task's own buffers stay below this, so that they live in registers or on the stack.
MOST_LOCAL_BYTES = 1024


def violations(func: Any) -> tuple[str, ...]:
    """Ways in which a function breaks the contract; empty if it keeps it.

    1. The body is a root block, a sequence of loops.
    2. Each of them is parallel, runs from 0, and has a constant positive extent.
    3. No loop inside is parallel.
    4. No buffer of 1 KB or more is allocated inside.
    5. No variable is used by two loops.
    """
    root = root_nests(func)
    if root is None:
        return ("the body is not a root block",)
    found: list[str] = []
    for position, nest in enumerate(root[0]):
        if not isinstance(nest, tirx.For) or nest.kind != tirx.ForKind.PARALLEL:
            found.append(f"statement {position} is not a parallel loop")
            continue
        extent = int_value(nest.extent)
        if int_value(nest.min) != 0 or extent is None or extent < 1:
            found.append(f"loop {position} runs from {nest.min} over {nest.extent}")
        if any(loop.kind == tirx.ForKind.PARALLEL for loop in nodes_in(nest.body, tirx.For)):
            found.append(f"loop {position} has a parallel loop inside")
        for buffer in allocations_in(nest):
            if buffer_bytes(buffer) >= MOST_LOCAL_BYTES:
                found.append(f"loop {position} allocates {buffer_bytes(buffer)} bytes inside")
    loops = [loop.loop_var for loop in nodes_in(func.body, tirx.For)]
    if len(set(loops)) != len(loops):
        found.append("two loops share a variable")
    return tuple(found)


def buffer_bytes(buffer: Any) -> int:
    """Size of a buffer; one of symbolic shape counts as too large."""
    shape = buffer_shape(buffer)
    if shape is None:
        return MOST_LOCAL_BYTES
    return math.prod(shape) * ITEM_BYTES.get(str(buffer.ty.dtype), 8)


def allocations_in(statement: Any) -> list[Any]:
    """Buffers allocated anywhere inside a statement."""
    found = [node.buffer for node in nodes_in(statement, tirx.AllocBuffer)]
    return found + [b for node in nodes_in(statement, s_tir.SBlock) for b in node.alloc_buffers]
