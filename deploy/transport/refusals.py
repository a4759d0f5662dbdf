"""The error for a machine that was reached and did not do what it was asked."""

from __future__ import annotations

from edgewright.spec.errors import BoardError

__all__ = ["refused"]


def refused(machine: str, what: str, said: str) -> BoardError:
    """An error with the remedy that the machine's complaint calls for.

    Args:
        machine: its name.
        what: what it was asked, as in ``to write into '/opt'``.
        said: what it wrote to stderr.
    """
    first = next((line.strip() for line in said.splitlines() if line.strip()), "it said nothing")
    remedy = "Look at the board."
    if "No space left" in said or "quota" in said:
        remedy = "Free some room on the board, or name another place."
    elif any(part in said for part in ("ermission denied", "Read-only", "can't cd")):
        remedy = "Name a place that the user may write to, such as ssh://user@host/~/models/net."
    return BoardError(f"{machine} refused {what} ({first})", remedy=remedy)
