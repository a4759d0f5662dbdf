"""Builds the C runtime with a hand-written program, under GCC's sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
RUNTIME = HERE.parents[2] / "deploy" / "runtime"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-Wstrict-prototypes")
LIBRARY = ("program.c", "runtime.c", "thread_pool.c", "weights.c", "workspace_memory.c")

#: Compiler flags of each build of the runtime that the checks run under.
BUILDS = {
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-fsanitize=thread",),
    "no_threads": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DEW_NO_THREADS"),
}


def fake_weights() -> np.ndarray:
    """What fake_model.c expects: weights[i] = i / 4."""
    return np.arange(74, dtype=np.float32) / 4


def gcc(*arguments: str | Path) -> None:
    """Run the system's gcc; fail, never skip, where it is missing."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.fail("gcc is not installed, but these tests need its sanitizers: apt install gcc")
    done = subprocess.run(
        [compiler, "-std=gnu11", "-O1", "-g", *WARNINGS, f"-I{RUNTIME}", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.bin"
    path.write_bytes(fake_weights().tobytes())
    return path


@pytest.fixture(scope="session", params=sorted(BUILDS))
def checked_build(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights_file: Path
) -> Path:
    """The folder of runtime_checks, built with one set of flags."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = BUILDS[request.param]
    embedded = folder / "weights.S"
    embedded.write_text(
        ".section .rodata\n.balign 64\n.globl embedded_weights\n"
        f'embedded_weights: .incbin "{weights_file}"\n.section .note.GNU-stack,"",%progbits\n'
    )
    programs = {
        "fake": (),
        "other": ("-DFAKE_IO_ALIGNMENT=4",),
        "future": ("-DFAKE_ABI_VERSION=99",),
        "embedded": ("-DFAKE_EMBED=1",),
    }
    for name, defines in programs.items():
        gcc(*flags, f"-DFAKE_NAME={name}", *defines, "-c", HERE / "fake_model.c", "-o",
            folder / f"{name}.o")  # fmt: skip
    objects = [folder / f"{name}.o" for name in programs]
    sources = [HERE / "runtime_checks.c", *(RUNTIME / name for name in LIBRARY), embedded]
    gcc(*flags, *sources, *objects, "-pthread", "-o", folder / "runtime_checks")
    return folder
