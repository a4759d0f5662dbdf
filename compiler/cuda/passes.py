"""The phases of lowering a scheduled function to device code, as lists of passes."""

from __future__ import annotations

from typing import Any

__all__ = ["DEVICE_OPTIONS", "device_passes", "finish_passes", "split_passes"]

#: Options of TVM's passes: loops that shall be unrolled are left to nvcc, as ``#pragma unroll``.
DEVICE_OPTIONS = {"tirx.UnrollLoop": {"explicit_unroll": False}}


def device_passes() -> list[Any]:
    """Scheduled blocks become flat loops over flat buffers, with threads and barriers."""
    from tvm import s_tir, tirx

    return [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.LowerCrossThreadReduction(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.LiftThreadBinding(),
        s_tir.transform.CompactBufferAllocation(),
        s_tir.transform.UnifyThreadBinding(),
        s_tir.transform.LowerMatchBuffer(),
        s_tir.transform.StmtSimplify(),
        s_tir.transform.LowerOpaqueBlock(),
        tirx.transform.FlattenBuffer(),
        tirx.transform.BF16ComputeLegalize(),
        tirx.transform.NarrowDataType(32),
        s_tir.transform.LoopPartition(),
        tirx.transform.VectorizeLoop(True),
        tirx.transform.StorageRewrite(),
        s_tir.transform.HoistIfThenElse(),
        tirx.transform.UnrollLoop(),
        s_tir.transform.RenormalizeSplitPattern(),
        tirx.transform.StmtSimplify(),
        tirx.transform.RemoveNoOp(),
        s_tir.transform.RewriteUnsafeSelect(),
        tirx.transform.CommonSubexprElim(),
        tirx.transform.VerifyMemory(),
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
