"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.fake_compiled import write_fake_bundle

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
