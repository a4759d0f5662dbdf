"""The image, built once for the tests of this folder, by an engine of Docker's or by buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.board.debian import missing_tools
from tests.docker.docker_by_buildah import Storage, install
from tests.docker.outside import ROOT, clean_copy, debian_base, pip_configuration

#: As in docs/docker.md.
BUILD = "docker build -t edgewright ."
#: What the image of the tests is ready for; all of the defaults would take minutes.
WARM_TARGET = "rpi4"
#: Who runs the containers: not root, and unknown to the image.
USER = "12345:12345"
_TOOLS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has the image, and ``-m docker`` selects what needs it."""
    for item in items:
        if "docker_shell" in getattr(item, "fixturenames", ()):
            item.add_marker("docker")
            item.add_marker(pytest.mark.timeout(2400))
            item.add_marker(pytest.mark.xdist_group("docker"))


def _cannot(reason: str) -> NoReturn:
    """Skip, but never in continuous integration, where `make test` prepares all of it."""
    if os.environ.get("CI"):
        pytest.fail(f"no container image: {reason}")
    pytest.skip(f"no container image: {reason}")


@pytest.fixture(scope="session")
def docker_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Runs shell commands that may say `docker`; the image `edgewright` is there.

    ``docker_shell(text, folder)`` runs them in a folder that :data:`USER` may write to, and fails
    with what they print if they fail.
    """
    clone = tmp_path_factory.mktemp("clone")
    clean_copy(clone)
    build = BUILD.removesuffix(" .") + f" --build-arg WARM_TARGETS={WARM_TARGET} ."
    if _engine_answers():
        shell = _shell({})
        shell(build, clone)
        yield shell
        return
    if missing := missing_tools(_TOOLS):
        _cannot(f"no engine of Docker's answers, and {missing}")
    if os.geteuid() != 0:
        _cannot("no engine of Docker's answers, and buildah needs root here")
    folder = tmp_path_factory.mktemp("buildah")
    storage = _storage(folder)
    try:
        shell = _shell(install(folder / "bin", storage))
        shell(build, clone)
        yield shell
    finally:
        # Mounts of containers that a test left behind would keep the folder busy.
        subprocess.run(storage.buildah("rm", "--all"), check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _storage(folder: Path) -> Storage:
    """New storage with the base image and what a build must know of this machine."""
    pip = pip_configuration()
    (folder / "pip.conf").write_text(pip.text)
    options = ["--build-arg", "BASE_IMAGE=localhost/base"]
    options += ["--secret", f"id=pip.conf,src={folder / 'pip.conf'}"]
    if pip.certificates is not None:
        options += ["--secret", f"id=ca.crt,src={pip.certificates}"]
    for place in pip.folders:
        options += ["--volume", f"{place}:{place}:ro"]
    for driver in ("overlay", "vfs"):
        storage = Storage(str(folder / driver), driver, tuple(options))
        started = subprocess.run(
            storage.buildah("from", "scratch"), capture_output=True, text=True, check=False
        )
        if started.returncode == 0:
            break
    else:
        _cannot(f"buildah keeps no image here: {started.stderr.strip()}")
    base = debian_base(ROOT / "build" / "docker")
    storage.ask("add", "--quiet", started.stdout.strip(), str(base), "/")
    storage.ask("commit", "--quiet", "--rm", started.stdout.strip(), "localhost/base")
    return storage


def _shell(variables: dict[str, str]) -> Shell:
    def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", "-euxc", text],
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
        return done

    return run
