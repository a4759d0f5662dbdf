"""The phases of lowering a scheduled function to device code, as lists of passes."""

from __future__ import annotations

from typing import Any

from edgewright.compiler.pipeline import flat_loop_passes

__all__ = ["DEVICE_OPTIONS", "device_passes", "finish_passes", "split_passes"]

#: Options of TVM's passes: loops that shall be unrolled are left to nvcc, as ``#pragma unroll``.
DEVICE_OPTIONS = {"tirx.UnrollLoop": {"explicit_unroll": False}}


def device_passes() -> list[Any]:
    """Scheduled blocks become flat loops over flat buffers, with threads and barriers."""
    from tvm import s_tir

    return [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.LowerCrossThreadReduction(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.LiftThreadBinding(),
        s_tir.transform.CompactBufferAllocation(),
        s_tir.transform.UnifyThreadBinding(),
        *flat_loop_passes(),
        s_tir.transform.ThreadSync("shared"),
        s_tir.transform.ThreadSync("warp"),
        s_tir.transform.LowerThreadAllreduce(),
    ]


def split_passes() -> list[Any]:
    """Each region of threads becomes a function of its own, and its place a launch."""
    from tvm import tirx

    return [tirx.transform.AnnotateEntryFunc(), tirx.transform.SplitHostDevice()]


def finish_passes() -> list[Any]:
    """Device functions become what TVM's generator of CUDA C takes."""
    from tvm import tirx

    return [
        tirx.transform.LowerWarpMemory(),
        tirx.transform.StmtSimplify(),
        tirx.transform.LowerIntrin(),
    ]
