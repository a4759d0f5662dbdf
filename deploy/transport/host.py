"""This machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgewright.deploy.transport.transport import Completed, run_program

__all__ = ["HostTransport"]


class HostTransport:
    """Runs the bundle's programs directly."""

    def __init__(self) -> None:
        self.name = "host"

    def run(self, program: Path, arguments: Sequence[str], *, timeout_seconds: float) -> Completed:
        """Run a program of the bundle; see :class:`Transport`."""
        return run_program([str(program), *arguments], timeout_seconds=timeout_seconds)
