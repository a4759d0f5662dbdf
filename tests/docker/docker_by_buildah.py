"""The few commands of `docker` that our documents use, carried out by buildah without an engine.

Where no Docker engine runs, tests put this program, named `docker`, on the PATH. Nothing that it
runs has a network, and every container starts as a fresh copy of the image. It knows:

    docker build -t NAME [--build-arg NAME=VALUE ...] [--secret id=ID,src=FILE ...] FOLDER
    docker run --rm [-v HERE:THERE ...] [--user UID:GID] [--network none] NAME [ARGUMENT ...]
    docker run --rm --entrypoint PROGRAM ... NAME [ARGUMENT ...]
    docker image inspect --format {{.Size}} NAME
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Storage", "install", "main"]

_ROOT = Path(__file__).resolve().parents[2]
_VARIABLE = "EDGEWRIGHT_TEST_BUILDAH"


@dataclass(frozen=True)
class Storage:
    """Where buildah keeps images, and what every build is given.

    Attributes:
        folder: all of it; removing it leaves nothing behind.
        driver: ``overlay``, or ``vfs`` where that cannot be mounted.
        build: more options of ``buildah bud``.
    """

    folder: str
    driver: str
    build: tuple[str, ...] = ()

    def buildah(self, *arguments: str) -> list[str]:
        """A command of buildah on this storage."""
        places = ["--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run"]
        return ["buildah", *places, "--storage-driver", self.driver, *arguments]

    def ask(self, *arguments: str) -> str:
        """What a command of buildah prints.

        Raises:
            subprocess.CalledProcessError: it fails; its words were printed.
        """
        command = self.buildah(*arguments)
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def install(folder: Path, storage: Storage) -> dict[str, str]:
    """Write the program ``docker`` into a folder; the variables that it is called with."""
    folder.mkdir()
    program = folder / "docker"
    start = f"import sys; sys.path.insert(0, {str(_ROOT)!r})"
    run = "from tests.docker.docker_by_buildah import main; sys.exit(main(sys.argv[1:]))"
    program.write_text(f"#!{sys.executable}\n{start}\n{run}\n")
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, _VARIABLE: json.dumps(asdict(storage))}


def main(arguments: list[str]) -> int:
    """Carry out a command; the exit status is that of the program in the container."""
    storage = Storage(**json.loads(os.environ[_VARIABLE]))
    try:
        if arguments[0] == "build":
            return _build(storage, arguments[1:])
        if arguments[0] == "run":
            return _run(storage, arguments[1:])
        if arguments[:4] == ["image", "inspect", "--format", "{{.Size}}"]:
            print(_size_bytes(storage, arguments[4]))
            return 0
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    print(f"docker {arguments} is not known to {__file__}", file=sys.stderr)
    return 125


def _build(storage: Storage, arguments: list[str]) -> int:
    options = ["bud", "--isolation", "chroot", "--layers=false", *storage.build]
    # zig opens more files at a time than the 1024 that buildah allows; Docker allows more itself.
    options += ["--ulimit", "nofile=8192:8192"]
    return subprocess.run(storage.buildah(*options, *arguments), check=False).returncode


def _run(storage: Storage, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("docker run")
    parser.add_argument("--rm", action="store_true", required=True)
    parser.add_argument("-v", "--volume", action="append", default=[])
    parser.add_argument("--user")
    parser.add_argument("--network", choices=["none"])
    parser.add_argument("--entrypoint")
    parser.add_argument("image")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)

    described = json.loads(storage.ask("inspect", "--type", "image", asked.image))
    configured = described["OCIv1"]["config"]
    program = [asked.entrypoint] if asked.entrypoint else configured["Entrypoint"]
    command = [*program, *(asked.arguments or ([] if asked.entrypoint else configured["Cmd"]))]
    container = storage.ask("from", "--pull-never", asked.image)
    try:
        options = ["--isolation", "chroot", "--user", asked.user or configured["User"]]
        for volume in asked.volume:
            options += ["--volume", volume]
        started = storage.buildah("run", *options, container, "--", *command)
        return subprocess.run(["unshare", "--net", *started], check=False).returncode
    finally:
        storage.ask("rm", container)


def _size_bytes(storage: Storage, image: str) -> int:
    """Bytes of the image's files, which is what Docker reports of the layers without padding."""
    container = storage.ask("from", "--pull-never", image)
    try:
        mounted = storage.ask("mount", container)
        command = ["du", "--bytes", "--summarize", "--one-file-system", mounted]
        counted = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(counted.stdout.split()[0])
    finally:
        storage.ask("rm", container)
