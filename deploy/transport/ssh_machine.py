"""A board over ssh: the system's OpenSSH, so that the user's keys, agent and jump hosts work.

The board needs a POSIX shell and ``tar``, as every Linux has. Files travel as one tar stream over
the same connection: no sftp server is asked for, which small images lack.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edgewright.deploy.transport.machine import Sent, ignore_sent
from edgewright.deploy.transport.refusals import refused
from edgewright.deploy.transport.ssh_address import SshAddress
from edgewright.deploy.transport.ssh_failures import connection_error
from edgewright.deploy.transport.transport import Completed, run_program
from edgewright.spec.errors import BoardError, ToolError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SSH_COMMAND", "SshMachine"]

#: Environment variable with the command to use instead of ``ssh``, options included, as Git has.
SSH_COMMAND = "EDGEWRIGHT_SSH_COMMAND"

#: ssh's own status when the connection, not the command, failed.
_SSH_FAILED = 255
#: A board that is silent for this many times this long is lost.
_ALIVE_SECONDS, _ALIVE_COUNT = 5, 3
_CONNECT_SECONDS = 20
#: The shared connection ends by itself, should this program be killed.
_PERSIST_SECONDS = 60
_RECEIVE_SECONDS = 600.0
_LONGEST_TEMPORARY = 32


class SshMachine:
    """See :class:`~edgewright.deploy.transport.machine.Machine`.

    All calls share one connection. Host keys are checked as the user's configuration says, and
    never asked for: an unknown key is an error.

    Args:
        address: the board.

    Raises:
        ToolError: ssh is not installed.
    """

    def __init__(self, address: SshAddress) -> None:
        self.address = address
        self.name = address.machine
        self._ssh = shlex.split(os.environ.get(SSH_COMMAND, "ssh"))
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        if not self._ssh or shutil.which(self._ssh[0]) is None:
            raise ToolError(
                f"'{self._ssh[0] if self._ssh else ''}' is not on the PATH",
                rule="Boards are reached with OpenSSH's client.",
                remedy="Install it: sudo apt-get install openssh-client.",
            )

    def __enter__(self) -> Self:
        """Prepare the shared connection."""
        # The path of a socket has 107 characters at most, and ssh adds 58 of its own.
        place = "/tmp" if len(tempfile.gettempdir()) > _LONGEST_TEMPORARY else None
        self._sockets = tempfile.TemporaryDirectory(prefix="ew-ssh-", dir=place)
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the shared connection."""
        if self._sockets is None:
            return
        if any(Path(self._sockets.name).iterdir()):
            command = [*self._options(), "-O", "exit", self.address.login]
            run_program(command, timeout_seconds=_CONNECT_SECONDS)
        self._sockets.cleanup()
        self._sockets = None

    def shell(self, script: str, *, timeout_seconds: float) -> Completed:
        """Run a script with the board's ``sh``."""
        done = run_program(self._command(script), timeout_seconds=timeout_seconds)
        if done.status == _SSH_FAILED:
            raise connection_error(self.address, done.stderr)
        return done

    def send(
        self, files: Iterable[tuple[Path, str]], folder: str, *, sent: Sent = ignore_sent
    ) -> None:
        """Copy files into a folder of the board as one tar stream."""
        script = f"cd {shlex.quote(folder)} && tar -x -f -"
        # A file, since nobody reads a pipe while the stream is written.
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(
                self._command(script),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
            )
            assert process.stdin is not None
            try:
                # Where ssh has ended, its status says why.
                with contextlib.suppress(BrokenPipeError):
                    _write_tar(files, process.stdin, sent)
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")
        if process.returncode == _SSH_FAILED:
            raise connection_error(self.address, said)
        if process.returncode != 0:
            raise refused(self.name, f"to write into '{folder}'", said)

    def receive(self, path: str) -> bytes:
        """The bytes of a file of the board."""
        try:
            done = subprocess.run(
                self._command(f"cat {shlex.quote(path)}"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_RECEIVE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BoardError(
                f"'{path}' did not arrive from {self.name} within {_RECEIVE_SECONDS:g} seconds",
                remedy="Look whether the network is slow.",
            ) from None
        said = done.stderr.decode(errors="replace")
        if done.returncode == _SSH_FAILED:
            raise connection_error(self.address, said)
        if done.returncode != 0:
            raise refused(self.name, f"to read '{path}'", said)
        return done.stdout

    def _command(self, script: str) -> list[str]:
        # The login shell sees one quoted word, whatever shell it is.
        # A shell stays above the script's, or ssh could not tell a program that a signal ended from
        # a lost connection: it has one status for both.
        above = shlex.quote('sh -c "$1"; exit $?')
        return [
            *self._options(),
            self.address.login,
            f"exec sh -c {above} sh {shlex.quote(script)}",
        ]

    def _options(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(_CONNECT_SECONDS),
            "ServerAliveInterval": str(_ALIVE_SECONDS),
            "ServerAliveCountMax": str(_ALIVE_COUNT),
        }
        if self._sockets is not None:
            options |= {
                "ControlMaster": "auto",
                "ControlPath": f"{self._sockets.name}/%C",
                "ControlPersist": str(_PERSIST_SECONDS),
            }
        words: Sequence[str] = [f"-o{name}={value}" for name, value in options.items()]
        port = [f"-p{self.address.port}"] if self.address.port else []
        return [*self._ssh, "-T", *words, *port]


class _Counting:
    """A stream that tells how much has been written to it."""

    def __init__(self, stream: IO[bytes], sent: Sent) -> None:
        self._stream = stream
        self._sent = sent
        self._count = 0

    def write(self, data: bytes) -> int:
        """Write, and tell."""
        self._stream.write(data)
        self._count += len(data)
        self._sent(self._count)
        return len(data)


def _write_tar(files: Iterable[tuple[Path, str]], stream: IO[bytes], sent: Sent) -> None:
    """Write files as a tar stream, with permissions and without owners and times."""
    counting = _Counting(stream, sent)
    with tarfile.open(fileobj=counting, mode="w|", format=tarfile.USTAR_FORMAT) as archive:  # type: ignore[call-overload]  # a stream is only written
        for source, name in files:
            entry = tarfile.TarInfo(name)
            status = source.stat()
            entry.size, entry.mode = status.st_size, status.st_mode & 0o777
            entry.mtime = int(status.st_mtime)
            with source.open("rb") as content:
                archive.addfile(entry, content)
