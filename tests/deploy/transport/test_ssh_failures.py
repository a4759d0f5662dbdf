"""Messages of OpenSSH 9.2, recorded, and what the user is told."""

from __future__ import annotations

import pytest

from edgewright.deploy.transport.ssh_address import SshAddress
from edgewright.deploy.transport.ssh_failures import connection_error

BOARD = SshAddress("board", "pi", 2222)


@pytest.mark.parametrize(
    ("said", "what", "remedy"),
    [
        (
            "@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
            "Host key verification failed.\r\n",
            "has another host key",
            "ssh-keygen -R '[board]:2222'",
        ),
        ("Host key verification failed.\r\n", "is not known", "ssh -p 2222 pi@board"),
        (
            "pi@board: Permission denied (publickey,password).\r\n",
            "does not let pi@board in",
            "ssh-copy-id -p 2222 pi@board",
        ),
        (
            "ssh: Could not resolve hostname board: Name or service not known\r\n",
            "has a name that nobody knows",
            "Check the spelling",
        ),
        (
            "ssh: connect to host board port 2222: Connection refused\r\n",
            "refuses connections",
            "Start the ssh server",
        ),
        (
            "ssh: connect to host board port 2222: No route to host\r\n",
            "does not answer",
            "Check that the board is on",
        ),
        (
            "/home/me/.ssh/config: line 3: Bad configuration option: hots\r\n"
            "/home/me/.ssh/config: terminating, 1 bad configuration options\r\n",
            "refuses its own configuration",
            "mend the file",
        ),
        ("Timeout, server board not responding.\r\n", "was lost", "when the board answers"),
        ("Connection to board closed by remote host.\r\n", "was lost", "when the board answers"),
        ("", "was lost (ssh said nothing)", "when the board answers"),
    ],
)
def test_each_failure_says_what_to_do(said: str, what: str, remedy: str) -> None:
    error = connection_error(BOARD, said)
    assert "ssh://pi@board:2222" in error.what and what in error.what
    assert remedy in error.remedy
    assert error.exit_status == 3 and "\n" not in str(error) and "\r" not in str(error)
