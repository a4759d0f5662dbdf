"""How long work tells its caller how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

__all__ = ["Progress", "StageClock", "silent"]

#: Called with the stage's name and the fraction of it that is done, 0 to 1.
Progress = Callable[[str, float], None]


def silent(stage: str, fraction: float) -> None:
    """A :data:`Progress` that says nothing."""


class StageClock:
    """Times stages and tells the caller of each.

    Args:
        progress: told each stage's name and the fraction of it that is done.

    Attributes:
        progress: what it tells.
        seconds: wall time of each stage that has ended, in order.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as the stage of that name."""
        start = time.perf_counter()
        self.progress(name, 0.0)
        yield
        self.seconds[name] = time.perf_counter() - start
        self.progress(name, 1.0)
