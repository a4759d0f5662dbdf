"""Reads ``ssh://[user@]host[:port][/path]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from edgewright.spec.errors import UsageError

__all__ = ["SshAddress", "parse_ssh_address"]

#: A name of DNS, an address, or an alias of the user's ssh configuration. Never an option.
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]*|:[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]*")


@dataclass(frozen=True)
class SshAddress:
    """A board, and perhaps a place on it.

    Attributes:
        host: a name, an address, or an alias of the user's ssh configuration.
        user: who logs in; empty for what that configuration says.
        port: TCP port; 0 for what that configuration says.
        path: a place on the board: absolute, below the home folder (``~/models``), or empty.
    """

    host: str
    user: str = ""
    port: int = 0
    path: str = ""

    @property
    def login(self) -> str:
        """``user@host`` as ssh takes it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def machine(self) -> str:
        """The address without the path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        login = f"{self.user}@{host}" if self.user else host
        return f"ssh://{login}" + (f":{self.port}" if self.port else "")


def parse_ssh_address(text: str) -> SshAddress:
    """Read an address.

    Args:
        text: ``ssh://pi@board:2222/opt/net``; ``ssh://pi@board/~/net`` is below the home folder.

    Raises:
        UsageError: another form.
    """
    try:
        parts = urlsplit(text)
        port, host = parts.port, unquote(parts.hostname or "")
    except ValueError as error:
        raise _malformed(text, str(error)) from None
    # urlsplit lowers the host, and an alias of the ssh configuration may have capitals.
    at = parts.netloc.rpartition("@")[2].lower().find(host.lower())
    host = parts.netloc.rpartition("@")[2][at : at + len(host)] if at >= 0 else host
    if parts.scheme != "ssh" or parts.query or parts.fragment:
        raise _malformed(text, "it has another form")
    if parts.password is not None:
        raise UsageError(
            "an ssh address holds a password",
            rule="It would be shown by every list of processes; ssh logs in by key.",
            remedy="Copy your key to the board once with ssh-copy-id, and leave the password out.",
        )
    user = unquote(parts.username or "")
    if not _HOST.fullmatch(host) or (user and not _USER.fullmatch(user)):
        raise _malformed(text, "its host or user has characters that names do not have")
    path = unquote(parts.path)
    if path.startswith("/~"):
        path = path[1:]
        if path != "~" and not path.startswith("~/"):
            raise _malformed(text, "only one's own home folder can be named with ~")
    if any(ord(character) < 32 for character in path):
        raise _malformed(text, "its path holds a control character")
    path = "" if path == "/" else path.rstrip("/")
    return SshAddress(host, user, port or 0, "" if path == "~" else path)


def _malformed(text: str, why: str) -> UsageError:
    return UsageError(
        f"the address '{text}' cannot be read ({why})",
        rule="It is ssh://user@host:port/path; user, port and path may be left out.",
        remedy="Write it as ssh://pi@raspberrypi.local, or ssh://pi@10.0.0.5:2222/~/models/net.",
    )
