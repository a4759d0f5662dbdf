"""Schedules for GPUs: a rule claims a function, or says why it is not its own; the first wins.

All rules keep one contract: every statement runs inside a block and a thread of the grid, shared
memory is static, and intermediates of scope ``global`` are allocated at the root, where the memory
plan finds them. None is written for one operator: convolutions and matrix products are tiled as
products of matrices, long reductions are shared by the threads of a block, and every other element
is computed by one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgewright.schedules.cuda.product import schedule_product
from edgewright.schedules.cuda.row_reduction import schedule_row_reduction
from edgewright.schedules.cuda.tasks import schedule_tasks
from edgewright.schedules.cuda.thread_per_element import schedule_thread_per_element
from edgewright.schedules.rules import Scheduled, ask_rules
from edgewright.spec.gpu import Gpu

__all__ = ["CUDA_RULES", "schedule_for_gpu"]

#: A rule: the scheduled function, or a clause that says why the function is not its own.
Rule = Callable[[Any, Gpu], "Any | str"]

#: In the order in which they are asked.
CUDA_RULES: tuple[tuple[str, Rule], ...] = (
    ("product", schedule_product),
    ("row_reduction", schedule_row_reduction),
    ("thread_per_element", schedule_thread_per_element),
    ("tasks", schedule_tasks),
)


def schedule_for_gpu(func: Any, gpu: Gpu) -> Scheduled:
    """Schedule a legalized, fused function for a GPU.

    Args:
        func: an unscheduled ``tirx.PrimFunc`` of static shapes.
        gpu: the architecture.

    Returns:
        The scheduled function. The last rule claims everything.
    """
    return ask_rules(CUDA_RULES, func, gpu)
