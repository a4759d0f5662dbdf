"""How kernels use an instruction set's vectors: which instructions, and arithmetic with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules.cost import core_rates
from edgewright.schedules.vector_forms import Arithmetic
from edgewright.spec.target import Target

__all__ = ["Simd", "VectorArithmetic", "maximum", "minimum", "multiply_add", "simd_of"]

#: ``Simd.estimate`` by instruction set. On AVX-512 the estimate was measured to gain nothing.
RECIPROCAL_ESTIMATES = {"neon": "llvm.aarch64.neon.frecp", "neon32": "llvm.arm.neon.vrecp"}
#: Cores that wait for a load where it stands: LLVM's own plan, which loads early, is as good there.
IN_ORDER = ("cortex-a34", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a510", "cortex-a520")


@dataclass(frozen=True)
class Simd:
    """How kernels use an instruction set's vectors.

    Attributes:
        lanes: float32 elements of a vector.
        by_lane: multiply-adds take one lane of a vector as operand, so inputs are read as vectors.
        call_fma: multiply-adds must be asked for; LLVM fuses no vector ``a + b * c`` on 32-bit ARM.
        call_max: one instruction is the NaN-keeping maximum; elsewhere a select is faster.
        estimate: LLVM's name of the instructions that estimate a reciprocal (with ``e`` behind it)
            and correct the estimate (``s``), or empty where dividing is as fast. A division keeps a
            Cortex-A72 busy for many cycles, and there is none of vectors on 32-bit ARM.
        streams: one instruction loads several vectors (:mod:`edgewright.schedules.streams`).
    """

    lanes: int
    by_lane: bool
    call_fma: bool
    call_max: bool
    estimate: str = ""
    streams: bool = False

    @property
    def dtype(self) -> str:
        """TVM's name of the vector's type."""
        return f"float32x{self.lanes}" if self.lanes > 1 else "float32"

    def scalar(self) -> Simd:
        """The same instruction set, one element at a time."""
        return Simd(lanes=1, by_lane=False, call_fma=False, call_max=False)


def simd_of(target: Target) -> Simd:
    """The vectors of a target."""
    narrow = target.isa.name == "neon32"
    # Without VFPv4 the intrinsic would be a call of fmaf for each lane. With it there is no
    # multiply-add by lane, and a load that spreads one element is the cheaper operand.
    vfp4 = "+vfp4" in target.mattr
    return Simd(
        lanes=target.isa.vec_lanes,
        by_lane=core_rates(target.isa).by_lane or (narrow and not vfp4),
        call_fma=narrow and vfp4,
        call_max=target.isa.name in ("neon", "neon32"),
        estimate=RECIPROCAL_ESTIMATES.get(target.isa.name, ""),
        streams=target.isa.name == "neon" and target.mcpu not in IN_ORDER,
    )


def multiply_add(total: Any, left: Any, right: Any, simd: Simd) -> Any:
    """``total + left * right`` in one instruction where there is one."""
    if simd.call_fma:
        return tirx.call_llvm_pure_intrin(simd.dtype, "llvm.fma", left, right, total)
    return total + left * right


def maximum(bound: Any, value: Any, simd: Simd) -> Any:
    """``max(bound, value)``; NaN in ``value`` stays NaN."""
    if simd.call_max:
        return tirx.call_llvm_pure_intrin(simd.dtype, "llvm.maximum", bound, value)
    return tirx.max(bound, value)


def minimum(bound: Any, value: Any, simd: Simd) -> Any:
    """``min(bound, value)``; NaN in ``value`` stays NaN."""
    if simd.call_max:
        return tirx.call_llvm_pure_intrin(simd.dtype, "llvm.minimum", bound, value)
    return tirx.min(bound, value)


class VectorArithmetic(Arithmetic):
    """Arithmetic of activations on one vector of ``simd``.

    Values are named by storing them to buffers of one vector, which LLVM keeps in registers: TVM's
    simplifier takes time exponential in the depth of bound variables.
    """

    def __init__(self, simd: Simd) -> None:
        super().__init__(partial(_keep, lanes=simd.lanes))
        self.simd = simd

    def multiply_add(self, left: Any, right: Any, total: Any) -> Any:
        """``total + left * right`` in one instruction where there is one."""
        return multiply_add(total, left, right, self.simd)

    def maximum(self, bound: Any, value: Any) -> Any:
        """``max(bound, value)``; NaN in ``value`` stays NaN."""
        return maximum(bound, value, self.simd)

    def minimum(self, bound: Any, value: Any) -> Any:
        """``min(bound, value)``; NaN in ``value`` stays NaN."""
        return minimum(bound, value, self.simd)

    def reciprocal(self, value: Any) -> Any:
        """``1 / value``: two steps of Newton's where there is an estimate, else a division."""
        if not self.simd.estimate:
            return super().reciprocal(value)
        estimate, step = f"{self.simd.estimate}e", f"{self.simd.estimate}s"
        found = self.let(tirx.call_llvm_pure_intrin(self.simd.dtype, estimate, value))
        for _ in range(2):
            correction = tirx.call_llvm_pure_intrin(self.simd.dtype, step, value, found)
            found = self.let(found * correction)
        return found


def _keep(value: Any, lanes: int) -> Any:
    """``value`` in a buffer of one vector."""
    buffer = builder.alloc_buffer((lanes,), str(value.ty.dtype).partition("x")[0])
    zero = tirx.IntImm("int32", 0)
    place = tirx.Ramp(zero, 1, lanes) if lanes > 1 else zero
    builder.buffer_store(buffer, value, [place])
    return buffer[place]
