"""How long work tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]

#: Called with the stage's name and the fraction of it that is done, 0 to 1.
Progress = Callable[[str, float], None]


def silent(stage: str, fraction: float) -> None:
    """A :data:`Progress` that says nothing."""
