"""The C runtime under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.runtime.conftest import BUILDS, HERE, LIBRARY, RUNTIME, gcc

CASES = re.findall(r'^    \{"(\w+)", check_\w+\},$', (HERE / "runtime_checks.c").read_text(), re.M)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)


def test_every_check_is_run() -> None:
    defined = re.findall(
        r"^static void check_(\w+)\(void\)", (HERE / "runtime_checks.c").read_text(), re.M
    )
    assert sorted(CASES) == sorted(defined)
    assert len(CASES) >= 15


@pytest.mark.parametrize("case", CASES)
def test_runtime(case: str, checked_build: Path, weights_file: Path) -> None:
    done = run(checked_build / "runtime_checks", case, weights_file)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "held\n"


def test_an_unknown_check_is_refused(checked_build: Path, weights_file: Path) -> None:
    assert run(checked_build / "runtime_checks", "nonsense", weights_file).returncode == 2


@pytest.fixture(scope="module", params=["address", "thread"])
def pool_checks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("pool") / "pool_checks"
    gcc(*BUILDS[request.param], HERE / "pool_checks.c", RUNTIME / "thread_pool.c", "-pthread",
        "-o", program)  # fmt: skip
    return program


@pytest.mark.parametrize("threads", [2, 3, 4, 7, 16])
def test_pool_runs_each_share_once(threads: int, pool_checks: Path) -> None:
    done = run(pool_checks, str(threads))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "held\n"


@pytest.mark.parametrize("header", ["edgewright.h", "program.h", "thread_pool.h", "weights.h"])
def test_headers_stand_alone(header: str, tmp_path: Path) -> None:
    (tmp_path / "alone.c").write_text(f'#include "{header}"\nint main(void) {{ return 0; }}\n')
    gcc("-Wpedantic", "-c", tmp_path / "alone.c", "-o", tmp_path / "alone.o")


def test_runtime_holds_no_global_state(tmp_path: Path) -> None:
    for name in LIBRARY:
        gcc("-O2", "-c", RUNTIME / name, "-o", tmp_path / "object.o")
        done = run("size", "-A", tmp_path / "object.o")
        writable = re.findall(r"^\.(?:data|bss)\s+(\d+)", done.stdout, re.M)
        assert done.returncode == 0 and writable and all(size == "0" for size in writable), name
