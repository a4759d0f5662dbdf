"""The image builds from a clean copy and compiles without network, as docs/docker.md says.

What it makes verifies on this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.conftest import BUILD, USER, WARM_TARGET, Shell
from tests.docker.outside import ROOT

DOCUMENT = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```sh test\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Bytes of all files; measured 0.95 GB with the base that the tests make.
LARGEST_IMAGE_BYTES = 1_100_000_000
MODEL = "lenet5.onnx"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder of the containers' user with a model in it."""
    _edgewright("models", "export", "lenet5", "-o", str(tmp_path / MODEL))
    _give_away(tmp_path)
    return tmp_path


def _edgewright(*arguments: str) -> None:
    command = [sys.executable, "-m", "edgewright", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"


def _give_away(folder: Path) -> None:
    user, group = map(int, USER.split(":"))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, group)
    # Containers reach it through the folders of pytest, which are for their owner only.
    for parent in [folder, *folder.parents][:4]:
        if os.stat(parent).st_uid in (os.getuid(), user):
            parent.chmod(parent.stat().st_mode | 0o011)


def test_every_command_of_the_document_works_and_the_bundles_verify(
    docker_shell: Shell, work: Path
) -> None:
    blocks = BLOCK.findall(DOCUMENT)
    assert len(blocks) >= 4
    for block in blocks:
        assert '"$(id -u):$(id -g)"' in block, "the files would be another user's"
        docker_shell(block.replace('"$(id -u):$(id -g)"', USER), work)
    for target in ("rpi4", "rpi3"):
        bundle = work / f"lenet5-{target}"
        assert f"{bundle.stat().st_uid}:{bundle.stat().st_gid}" == USER
        _edgewright("verify", str(bundle), "--on", "qemu", "--model", str(work / MODEL))
    here = work / "here"
    _edgewright("compile", str(work / MODEL), "--target", "rpi4", "-o", str(here))
    # It has the hash of every file.
    assert (here / "manifest.json").read_bytes() == (
        work / "lenet5-rpi4" / "manifest.json"
    ).read_bytes()


def test_the_first_compilation_builds_no_c_library(docker_shell: Shell, work: Path) -> None:
    count = 'find "$ZIG_GLOBAL_CACHE_DIR" -name libc.a | wc -l'
    script = f"{count} && edgewright compile {MODEL} --target {WARM_TARGET} -o out >&2 && {count}"
    command = f'docker run --rm -v "$PWD:/data" --user {USER} --entrypoint sh edgewright -c'
    before, after = docker_shell(f"{command} '{script}'", work).stdout.split()
    assert int(before) == int(after) == 1
    assert (work / "out" / "manifest.json").is_file()


def test_a_matrix_of_targets(docker_shell: Shell, work: Path) -> None:
    made = f'MODEL="$PWD/{MODEL}" TARGETS="rpi4 cortex-a53" DOCKER_USER={USER}'
    docker_shell(f"make -C {ROOT} docker-matrix {made}", work)
    assert (work / "lenet5-rpi4" / "manifest.json").is_file()
    assert (work / "lenet5-cortex-a53" / "manifest.json").is_file()


def test_an_unknown_target_is_bad_usage(docker_shell: Shell, work: Path) -> None:
    asked = f"edgewright compile {MODEL} --target nothing -o out"
    command = f'docker run --rm -v "$PWD:/data" --user {USER} {asked}'
    done = docker_shell(f'{command} || echo "status $?"', work)
    assert done.stdout.strip().endswith("status 2")
    assert not (work / "out").exists()


def test_what_is_in_the_image(docker_shell: Shell, tmp_path: Path) -> None:
    size = int(
        docker_shell("docker image inspect --format '{{.Size}}' edgewright", tmp_path).stdout
    )
    print(f"the image has {size / 1e6:.0f} MB")
    assert size < LARGEST_IMAGE_BYTES
    script = (
        "id -u; sed 1,2d /proc/net/dev | wc -l; "
        "ls /opt/edgewright/lib/python3*/site-packages; ls /usr/bin/qemu-* /src"
    )
    command = f"docker run --rm --network none --entrypoint sh edgewright -c '{script} || true'"
    user, interfaces, *names = docker_shell(command, tmp_path).stdout.split()
    assert (user, interfaces) == ("1000", "1")
    assert {"tvm", "edgewright", "ziglang"} <= set(names)
    assert not {"torch", "pip", "pytest", "pyproject.toml"} & set(names)
    assert {name for name in names if "qemu" in name} == {
        "/usr/bin/qemu-aarch64",
        "/usr/bin/qemu-arm",
    }


def test_the_document_builds_as_the_tests_do() -> None:
    assert BUILD in DOCUMENT
    assert (ROOT / "Dockerfile").read_text().count(f"#   {BUILD}\n") == 1


def test_the_builder_is_sent_nothing_but_what_is_copied() -> None:
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert sent == {name for line in copies for name in line.split()}


def test_the_base_is_pinned_by_digest() -> None:
    bases = re.findall(r"^ARG BASE_IMAGE=(.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert len(bases) == 1
    assert re.fullmatch(r"debian:bookworm-\d{8}-slim@sha256:[0-9a-f]{64}", bases[0])
