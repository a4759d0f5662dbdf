"""What a machine that runs a bundle's programs must offer."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgewright.spec.errors import ToolError

__all__ = ["Completed", "Transport", "run_program"]


@dataclass(frozen=True)
class Completed:
    """A program that has ended.

    Attributes:
        status: exit status; negative for the signal that killed it.
        stdout: what it printed.
        stderr: what it complained about.
    """

    status: int
    stdout: str
    stderr: str

    @property
    def why(self) -> str:
        """Its end in words, for an error."""
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}"
        last = self.stderr.strip().splitlines()[-1:] or self.stdout.strip().splitlines()[-1:]
        return f"exit status {self.status}" + (f": {last[0]}" if last else "")


class Transport(Protocol):
    """A machine that runs a bundle's programs.

    Attributes:
        name: how reports call it (``host``, ``qemu cortex-a72``).
    """

    name: str

    def run(self, program: Path, arguments: Sequence[str], *, timeout_seconds: float) -> Completed:
        """Run a program of the bundle to its end.

        Raises:
            ToolError: the program could not be started, or did not end in time.
        """
        ...


def run_program(command: Sequence[str], *, timeout_seconds: float) -> Completed:
    """Run a local program to its end, without standard input.

    Raises:
        ToolError: it could not be started, or did not end in time.
    """
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(
            f"'{Path(command[0]).name}' did not end within {timeout_seconds:g} seconds",
            remedy="Give it a smaller model, or look whether the machine is busy.",
        ) from None
    except OSError as error:
        raise ToolError(
            f"'{command[0]}' could not be started ({error.strerror})",
            remedy="Check that the file exists and may be executed where it is.",
        ) from error
    return Completed(done.returncode, done.stdout, done.stderr)
