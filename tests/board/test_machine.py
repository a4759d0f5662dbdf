"""What the transport over ssh makes of programs that end badly on a real board."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgewright.deploy.transport.machine import Machine
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.deploy.transport.ssh_machine import SSH_COMMAND
from edgewright.spec.errors import BoardError
from tests.board.emulated_board import EmulatedBoard


@pytest.fixture
def machine(board: EmulatedBoard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv(SSH_COMMAND, board.environment()[SSH_COMMAND])
    with open_machine(board.address()) as opened:
        yield opened


@pytest.mark.parametrize(("signal", "number"), [("ILL", 4), ("SEGV", 11), ("KILL", 9)])
def test_a_program_that_a_signal_ended_is_no_lost_connection(
    machine: Machine, signal: str, number: int
) -> None:
    """Illegal instructions end so, and so does what the kernel kills for want of memory."""
    for script in (f"kill -{signal} $$", f"exec sh -c 'kill -{signal} $$'"):
        assert machine.shell(script, timeout_seconds=30).status == 128 + number


def test_a_status_that_ssh_itself_uses_is_still_the_programs(machine: Machine) -> None:
    assert machine.shell("exit 254", timeout_seconds=30).status == 254


def test_much_output_arrives_whole(machine: Machine) -> None:
    done = machine.shell("seq 1 200000; seq 1 100000 >&2", timeout_seconds=60)
    assert done.stdout.splitlines()[-1] == "200000" and len(done.stdout.splitlines()) == 200000
    assert done.stderr.splitlines()[-1] == "100000"


def test_a_file_that_is_not_there_is_named(machine: Machine) -> None:
    with pytest.raises(BoardError, match="/opt/nothing.*No such file"):
        machine.receive("/opt/nothing")
