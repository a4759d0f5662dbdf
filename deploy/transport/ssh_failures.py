"""What ssh's complaints mean, for the person at this end."""

from __future__ import annotations

import re

from edgewright.deploy.transport.ssh_address import SshAddress
from edgewright.spec.errors import UnreachableError

__all__ = ["connection_error"]

#: By a part of OpenSSH's message: what happened and what helps, the first that matches.
_MEANINGS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "has another host key than the one that is known",
        "A changed key means that the board was installed anew, or that another machine answers.",
        "If you know why, forget the old key with ssh-keygen -R {known} and log in once by hand.",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "has a host key that is not known",
        "Edgewright never accepts a key unseen.",
        "Log in once by hand with ssh{port} {login}, and compare the key's fingerprint.",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "does not let {login} in",
        "Edgewright logs in without asking for a password.",
        "Copy your key with ssh-copy-id{port} {login}, or name the right user.",
    ),
    (
        r"Could not resolve hostname|Name or service not known",
        "has a name that nobody knows",
        "",
        "Check the spelling and the network, or use the board's address.",
    ),
    (
        r"Connection refused",
        "refuses connections of ssh",
        "",
        "Start the ssh server on the board, or name its port, as in ssh://user@board:2222.",
    ),
    (
        r"Connection timed out|Operation timed out|No route to host|Network is unreachable",
        "does not answer",
        "",
        "Check that the board is on, and that it has this address.",
    ),
    (
        r"Bad owner or permissions|Bad configuration option|terminating, \d+ bad config",
        "was not asked, because ssh refuses its own configuration",
        "",
        "Run ssh{port} {login} by hand, and mend the file that it names.",
    ),
)


def connection_error(address: SshAddress, said: str) -> UnreachableError:
    """The error for an ssh that ended because of the connection.

    Args:
        address: the board.
        said: what ssh wrote to stderr.
    """
    port = f" -p {address.port}" if address.port else ""
    known = f"'[{address.host}]:{address.port}'" if address.port else address.host
    words = {"login": address.login, "port": port, "known": known}
    last = _last_line(said)
    for pattern, what, rule, remedy in _MEANINGS:
        if re.search(pattern, said):
            return UnreachableError(
                f"{address.machine} {what.format(**words)} ({last})",
                rule=rule,
                remedy=remedy.format(**words),
            )
    return UnreachableError(
        f"the connection to {address.machine} was lost ({last})",
        rule="The board may have been rebooted, or the network was cut.",
        remedy="Run the command again when the board answers: it begins where it can.",
    )


def _last_line(said: str) -> str:
    lines = [line.strip(" \r@") for line in said.splitlines()]
    telling = [line for line in lines if line and not line.startswith(("debug", "Warning:", "***"))]
    return telling[-1].rstrip(".") if telling else "ssh said nothing"
