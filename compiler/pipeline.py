"""The compiler's phases as lists of passes: data that can be printed, tested and run one by one."""

from __future__ import annotations

from typing import Any

__all__ = ["flat_loop_passes", "legalize_passes", "plain_c_passes", "tir_passes"]


def legalize_passes() -> list[Any]:
    """Relax operators without a kernel of ours become fused PrimFuncs, not yet scheduled.

    ``relax.reshape`` stays: it costs nothing, since tensors are dense.
    """
    from tvm import relax

    from edgewright.schedules.rules import legalize_map

    return [
        relax.backend.DispatchSortScan(),  # cumsum and cumprod are not lowered without it
        relax.transform.LegalizeOps(legalize_map(), skip_ops=["relax.reshape"]),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FoldConstant(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ]


def tir_passes() -> list[Any]:
    """Scheduled blocks become flat loops over flat buffers, vectorised and unrolled."""
    from tvm import s_tir

    return [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.CompactBufferAllocation(),
        *flat_loop_passes(),
    ]


def flat_loop_passes() -> list[Any]:
    """Blocks whose buffers have their places become flat loops, for CPUs and GPUs alike."""
    from tvm import s_tir, tirx

    return [
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
    ]


def plain_c_passes() -> list[Any]:
    """Flat loops become C functions: ``int32_t kernel(float*, …, int32_t begin, int32_t end)``."""
    from tvm import tirx

    from edgewright.compiler.tir_passes.use_plain_abi import UsePlainAbi

    return [UsePlainAbi(), tirx.transform.LowerTVMBuiltin(), tirx.transform.LowerIntrin()]
