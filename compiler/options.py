"""What a user may ask of the compiler, beyond the model and the target."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Options of one compilation.

    Attributes:
        conv_algorithm: ``auto``, or the algorithm that convolutions must use where it applies.
        max_error: largest error of a kernel, relative to the output's largest value, or None.
        max_workspace_bytes: largest scratch memory of one thread in bytes, or None.
        embed_weights: link the weights into the library instead of mapping them from a file.
    """

    conv_algorithm: str = "auto"
    max_error: float | None = None
    max_workspace_bytes: int | None = None
    embed_weights: bool = False
