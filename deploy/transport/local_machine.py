"""This machine, used as a board is: by its shell and its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.deploy.transport.machine import Sent, ignore_sent
from edgewright.deploy.transport.transport import Completed, run_program
from edgewright.spec.errors import BoardError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LocalMachine"]


class LocalMachine:
    """See :class:`~edgewright.deploy.transport.machine.Machine`."""

    def __init__(self) -> None:
        self.name = "host"

    def __enter__(self) -> Self:
        """Nothing to connect."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to close."""

    def shell(self, script: str, *, timeout_seconds: float) -> Completed:
        """Run a script with ``sh``."""
        return run_program(["sh", "-c", script], timeout_seconds=timeout_seconds)

    def send(
        self, files: Iterable[tuple[Path, str]], folder: str, *, sent: Sent = ignore_sent
    ) -> None:
        """Copy files into a folder."""
        total = 0
        for source, name in files:
            place = Path(folder) / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)
            except OSError as error:
                raise BoardError(
                    f"'{place}' cannot be written ({error.strerror})",
                    remedy="Free some room, or name a place that you may write to.",
                ) from error
            total += source.stat().st_size
            sent(total)

    def receive(self, path: str) -> bytes:
        """The bytes of a file."""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise BoardError(f"'{path}' cannot be read ({error.strerror})") from error
