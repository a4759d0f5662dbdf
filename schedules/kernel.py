"""What a kernel family answers: a kernel, or why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Declined", "Kernel", "Limits", "Offer", "Selection"]


@dataclass(frozen=True)
class Limits:
    """What the user allows a kernel to cost.

    Attributes:
        algorithm: ``auto``, or the one algorithm that convolutions must use where it applies.
        max_error: largest error as a share of the output's largest value; None: at most four
            times the direct convolution's.
        max_workspace_bytes: largest scratch memory of one thread, or None.
    """

    algorithm: str = "auto"
    max_error: float | None = None
    max_workspace_bytes: int | None = None


@dataclass(frozen=True)
class Kernel:
    """A scheduled kernel, ready to be called from Relax.

    Attributes:
        name: by the grammar of docs/naming.md; equal names mean equal code.
        algorithm: ``direct``, ``depthwise``, ``dense``, ``pool``, …
        prim_func: a ``tirx.PrimFunc`` in destination-passing style; the parameters are input,
            packed weights and bias (where it has them), residual (where it has one), scratch
            (float32, of one thread, where ``scratch_bytes`` is not 0), output.
        pack_weights: packs ``OIHW`` (or ``(out, in)``) float32 weights at compile time.
        pack_bias: packs a float32 vector over output channels.
        scratch_bytes: scratch memory of one thread.
        cost: estimated cycles on one core.
        reason: why it was chosen, one clause.
    """

    name: str
    algorithm: str
    prim_func: Any
    pack_weights: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None = None
    pack_bias: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None = None
    scratch_bytes: int = 0
    cost: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Offer:
    """A kernel that a family could generate, and what it would cost.

    Attributes:
        algorithm: as :class:`Kernel`'s.
        name: as :class:`Kernel`'s.
        cost: estimated cycles on one core.
        build: generates the kernel.
        scratch_bytes: scratch memory of one thread.
        error: largest error to expect, as a multiple of the direct convolution's; 0 where it is
            the same sums, which no limit excludes.
        config: the tile's sizes as they stand in the name.
        others: the family's offers with other tile sizes, the most promising first, for
            measuring; none of them has this offer's name.
    """

    algorithm: str
    name: str
    cost: float
    build: Callable[[], Kernel]
    scratch_bytes: int = 0
    error: float = 0.0
    config: str = ""
    others: Callable[[], Sequence[Offer]] = field(default=tuple, compare=False, repr=False)


@dataclass(frozen=True)
class Declined:
    """A kernel family's refusal of a workload."""

    family: str
    reason: str

    def __str__(self) -> str:
        return f"{self.family}: {self.reason}"


@dataclass(frozen=True)
class Selection:
    """The kernel chosen for a workload, and who declined it.

    Attributes:
        kernel: None where no family takes the workload; generic rules schedule it then.
    """

    kernel: Kernel | None
    declined: tuple[Declined, ...] = ()
