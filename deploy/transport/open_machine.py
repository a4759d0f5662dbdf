"""The machine that ``--on`` names."""

from __future__ import annotations

from edgewright.deploy.transport.local_machine import LocalMachine
from edgewright.deploy.transport.machine import Machine
from edgewright.deploy.transport.ssh_address import parse_ssh_address
from edgewright.deploy.transport.ssh_machine import SshMachine
from edgewright.spec.errors import UsageError

__all__ = ["open_machine"]


def open_machine(address: str) -> Machine:
    """A machine by its address; a context manager that makes and closes the connection.

    Args:
        address: ``host``, or ``ssh://[user@]host[:port]``; a path behind it is left out.

    Raises:
        UsageError: neither, or a malformed address.
        ToolError: the program ``ssh`` is not installed.
    """
    if address == "host":
        return LocalMachine()
    if address.startswith("ssh://"):
        return SshMachine(parse_ssh_address(address))
    raise UsageError(
        f"'{address}' names no machine", rule="It is host or ssh://user@host[:port][/path]."
    )
