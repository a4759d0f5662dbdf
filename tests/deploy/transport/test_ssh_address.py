from __future__ import annotations

import pytest

from edgewright.deploy.transport.ssh_address import SshAddress, parse_ssh_address
from edgewright.spec.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh://board", SshAddress("board")),
        ("ssh://Board.local/", SshAddress("Board.local")),
        ("ssh://pi@10.0.0.5:2222", SshAddress("10.0.0.5", "pi", 2222)),
        ("ssh://pi@board/opt/net/", SshAddress("board", "pi", 0, "/opt/net")),
        ("ssh://pi@board/~/a%20b", SshAddress("board", "pi", 0, "~/a b")),
        ("ssh://pi@board/~", SshAddress("board", "pi")),
        ("ssh://root@[fe80::1%eth0]:22/x", SshAddress("fe80::1%eth0", "root", 22, "/x")),
    ],
)
def test_an_address_is_read(text: str, expected: SshAddress) -> None:
    assert parse_ssh_address(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://board", "another form"),
        ("ssh://board?x=1", "another form"),
        ("ssh://", "characters that names do not have"),
        ("ssh://-oProxyCommand=x", "characters that names do not have"),
        ("ssh://a b@board", "characters that names do not have"),
        ("ssh://board:99999", "Port out of range"),
        ("ssh://board/~pi/net", "only one's own home folder"),
        ("ssh://board/a%0Ab", "control character"),
    ],
)
def test_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_ssh_address(text)
    assert "ssh://user@host:port/path" in caught.value.rule


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="holds a password") as caught:
        parse_ssh_address("ssh://pi:raspberry@board")
    assert "raspberry" not in str(caught.value) and "ssh-copy-id" in str(caught.value)


def test_an_address_is_written_as_it_was_read() -> None:
    assert parse_ssh_address("ssh://pi@[::1]:2222/x").machine == "ssh://pi@[::1]:2222"
    assert parse_ssh_address("ssh://board").machine == "ssh://board"
