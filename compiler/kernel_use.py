"""Why a kernel of ours stands where it stands."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KernelUse"]


@dataclass(frozen=True)
class KernelUse:
    """One call of a kernel of ours.

    Attributes:
        op: the Relax operator it replaces.
        nodes: ONNX nodes it computes, in order.
        outputs: ONNX tensors its outputs hold.
        macs: multiply-accumulates of the direct algorithm.
        reason: why this kernel was chosen.
        declined: which families declined, and why.
    """

    op: str
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int
    reason: str
    declined: tuple[str, ...]
