"""Features of a target's CPU, as LLVM knows them."""

from __future__ import annotations

from edgewright.spec.target import Target

__all__ = ["cpu_features"]


def cpu_features(target: Target) -> frozenset[str]:
    """Names of the features that LLVM may use in code for a target.

    They are LLVM's: ``dotprod``, ``lse``, ``vfp4``, ``avx512f``, and many that say how to schedule.
    """
    import tvm
    from tvm.target import codegen

    found = codegen.llvm_get_cpu_features(tvm.target.Target(target.tvm_dict()))
    return frozenset(str(name) for name in found)
