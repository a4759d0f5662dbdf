"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgewright.deploy.transport.ssh_machine import SSH_COMMAND
from tests.deploy.fake_compiled import write_fake_bundle
from tests.deploy.transport.loopback_sshd import LoopbackSshd, missing_tools

#: Rich and Typer must print the same wherever the tests run.
os.environ["COLUMNS"] = "160"
os.environ.pop("FORCE_COLOR", None)


@pytest.fixture(scope="session")
def host_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle of the fake model for this machine, not to be changed; the model is beside."""
    folder = tmp_path_factory.mktemp("host") / "fake-host"
    return write_fake_bundle(folder, "host").path


@pytest.fixture(scope="session")
def rpi4_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle of the fake model for the Raspberry Pi 4; not to be changed."""
    folder = tmp_path_factory.mktemp("rpi4") / "fake-rpi4"
    return write_fake_bundle(folder, "rpi4").path


@pytest.fixture
def tree_of() -> Callable[[Path], set[str]]:
    """Every path below a folder, to see what was left behind."""
    return lambda folder: {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture(scope="session")
def sshd_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSshd]:
    """An ssh server on loopback for the whole run."""
    missing = missing_tools()
    if missing:
        names = ", ".join(missing)
        message = f"not installed: {names}; apt-get installs them, to test deployments over ssh"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with LoopbackSshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sshd(sshd_process: LoopbackSshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackSshd]:
    """The server, and ``EDGEWRIGHT_SSH_COMMAND`` set so that it lets us in."""
    monkeypatch.setenv(SSH_COMMAND, sshd_process.command)
    yield sshd_process
    sshd_process.trust()
