"""What a machine with a shell and a file system must offer: this one, or a board over ssh."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgewright.deploy.transport.transport import Completed

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Machine", "Sent", "ignore_sent"]

#: Told how many bytes have been copied so far.
Sent = Callable[[int], None]


def ignore_sent(count: int) -> None:
    """A :data:`Sent` that does nothing."""


class Machine(Protocol):
    """A machine that bundles are copied to and measured on.

    Attributes:
        name: how reports call it (``host``, ``ssh://pi@board``).
    """

    name: str

    def __enter__(self) -> Self:
        """Prepare a connection; it is made by the first call."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Close the connection."""
        ...

    def shell(self, script: str, *, timeout_seconds: float) -> Completed:
        """Run a script with the machine's POSIX ``sh`` to its end.

        Args:
            script: what ``sh`` runs; it has no standard input.
            timeout_seconds: how long it may take.

        Raises:
            BoardError: the machine cannot be reached, or the connection was lost.
            ToolError: the script did not end in time.
        """
        ...

    def send(
        self, files: Iterable[tuple[Path, str]], folder: str, *, sent: Sent = ignore_sent
    ) -> None:
        """Copy files into a folder of the machine, with their permissions.

        Args:
            files: each with its path below ``folder``.
            folder: an existing folder of the machine.
            sent: told the bytes copied so far.

        Raises:
            BoardError: the machine cannot be reached, the connection was lost, or it refused to
                write (no room, no permission).
        """
        ...

    def receive(self, path: str) -> bytes:
        """The bytes of a file of the machine.

        Raises:
            BoardError: the machine cannot be reached, or the file cannot be read.
        """
        ...
