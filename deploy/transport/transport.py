"""What a machine that runs a bundle's programs must offer."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgewright.deploy.transport.programs import waiting_for
from edgewright.spec.errors import ToolError

__all__ = ["Completed", "Transport", "run_program"]


@dataclass(frozen=True)
class Completed:
    """A program that has ended.

    Attributes:
        status: exit status; negative, or above 128, for the signal that killed it.
        stdout: what it printed.
        stderr: what it complained about.
    """

    status: int
    stdout: str
    stderr: str

    @property
    def why(self) -> str:
        """Its end in words, for an error."""
        # A shell says 128 and the signal's number.
        number = -self.status if self.status < 0 else self.status - 128
        if number in {known.value for known in signal.Signals}:
            return f"killed by {signal.Signals(number).name}"
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
        with subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            try:
                with waiting_for(process):
                    stdout, stderr = process.communicate(timeout=timeout_seconds)
            except BaseException:
                process.kill()
                raise
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
    return Completed(process.returncode, stdout, stderr)
