"""What a machine says of itself: cores, features, C library, memory.

One script of POSIX shell (``probe.sh``) asks for all of it at once.
"""

from __future__ import annotations

from pathlib import Path

from edgewright.deploy.boards.board_report import BoardReport, CpuCluster
from edgewright.deploy.boards.report_text import parse_report
from edgewright.deploy.transport.machine import Machine
from edgewright.spec.errors import BoardError

__all__ = ["BoardReport", "CpuCluster", "read_report"]

_PROBE = Path(__file__).parent / "probe.sh"
#: An ARM926 at 200 MHz starts its few dozen programs well within.
_TIMEOUT_SECONDS = 60.0


def read_report(machine: Machine) -> BoardReport:
    """Ask a machine about itself.

    Raises:
        BoardError: it cannot be reached, or has no POSIX shell.
        ToolError: it did not answer in time.
    """
    done = machine.shell(_PROBE.read_text(encoding="utf-8"), timeout_seconds=_TIMEOUT_SECONDS)
    if "@@end" not in done.stdout:
        raise BoardError(
            f"'{machine.name}' did not answer the questions about its hardware ({done.why})",
            rule="They are a script for a POSIX shell, of which busybox's is enough.",
            remedy="Look whether the login shell there is a usual one.",
        )
    return parse_report(machine.name, done.stdout)
