"""This machine and one behind ssh do the same."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewright.deploy.transport.machine import Machine
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.deploy.transport.ssh_machine import SSH_COMMAND
from edgewright.spec.errors import BoardError, ToolError, UsageError
from tests.deploy.transport.loopback_sshd import LoopbackSshd


@pytest.fixture(params=["host", "ssh"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    address = "host"
    if request.param == "ssh":
        server: LoopbackSshd = request.getfixturevalue("sshd")
        address = server.address
    with open_machine(address) as opened:
        assert opened.name == address
        yield opened


def test_a_script_runs_to_its_end(machine: Machine) -> None:
    script = 'echo "a  \'b\'"; echo "$HOME" >/dev/null; cat; echo wrong >&2; exit 7'
    done = machine.shell(script, timeout_seconds=30)
    assert (done.status, done.stdout, done.stderr) == (7, "a  'b'\n", "wrong\n")


def test_a_script_of_many_lines_is_posix(machine: Machine) -> None:
    done = machine.shell("x=1\nif [ $x = 1 ]; then\n  echo yes\nfi\n", timeout_seconds=30)
    assert (done.status, done.stdout) == (0, "yes\n")


def test_a_script_that_does_not_end_is_an_error(machine: Machine) -> None:
    with pytest.raises(ToolError, match="did not end within 0.5 seconds"):
        machine.shell("sleep 20", timeout_seconds=0.5)


def test_files_arrive_with_their_permissions(machine: Machine, tmp_path: Path) -> None:
    for name, mode in (("tool", 0o755), ("data", 0o644)):
        (tmp_path / name).write_bytes(bytes(range(256)) * 300)
        (tmp_path / name).chmod(mode)
    (tmp_path / "to here").mkdir()
    told: list[int] = []
    files = [(tmp_path / "tool", "bin/tool"), (tmp_path / "data", "data")]
    machine.send(files, str(tmp_path / "to here"), sent=told.append)
    for name, mode in (("bin/tool", 0o755), ("data", 0o644)):
        arrived = tmp_path / "to here" / name
        assert arrived.read_bytes() == bytes(range(256)) * 300
        assert stat.S_IMODE(arrived.stat().st_mode) == mode
    assert told == sorted(told) and told[-1] >= 2 * 256 * 300
    assert machine.receive(str(tmp_path / "to here" / "data")) == bytes(range(256)) * 300


def test_what_cannot_be_written_or_read_is_an_error(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(BoardError, match="file"):
        machine.send([(tmp_path / "data", "data")], str(tmp_path / "file"))
    with pytest.raises(BoardError, match="nothing-here"):
        machine.receive(str(tmp_path / "nothing-here"))


def test_a_full_disk_is_named(machine: Machine, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "data").write_bytes(bytes(1 << 20))
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "data").symlink_to("/dev/full")
    script = f"cat {tmp_path}/data > {tmp_path}/place/data"
    assert "No space left" in machine.shell(script, timeout_seconds=30).stderr


def test_the_connection_is_shared_and_closed(sshd: LoopbackSshd) -> None:
    with open_machine(sshd.address) as machine:
        script = "echo $SSH_CONNECTION"
        ports = {machine.shell(script, timeout_seconds=30).stdout for _ in range(3)}
    assert len(ports) == 1  # the client's port of the one connection


def test_an_unknown_host_key_is_never_accepted(sshd: LoopbackSshd) -> None:
    sshd.known_hosts.write_text("")
    with open_machine(sshd.address) as machine, pytest.raises(BoardError, match="is not known"):
        machine.shell("true", timeout_seconds=30)
    assert sshd.known_hosts.read_text() == ""


def test_a_changed_host_key_is_refused(sshd: LoopbackSshd, tmp_path: Path) -> None:
    other = LoopbackSshd(tmp_path)
    sshd.trust((tmp_path / "host.pub").read_text())
    with open_machine(sshd.address) as machine, pytest.raises(BoardError, match="another host key"):
        machine.shell("true", timeout_seconds=30)
    assert other.port != sshd.port


def test_a_key_that_the_server_does_not_know_is_refused(
    sshd: LoopbackSshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = LoopbackSshd(tmp_path)
    stranger.known_hosts.write_text(sshd.known_hosts.read_text())
    monkeypatch.setenv(SSH_COMMAND, stranger.command)
    with open_machine(sshd.address) as machine, pytest.raises(BoardError, match="does not let"):
        machine.shell("true", timeout_seconds=30)


def test_a_machine_without_ssh_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SSH_COMMAND, "no-such-ssh -v")
    with pytest.raises(ToolError, match="'no-such-ssh' is not on the PATH"):
        open_machine("ssh://board")


def test_only_machines_are_opened() -> None:
    with pytest.raises(UsageError, match="'qemu' names no machine"):
        open_machine("qemu")
