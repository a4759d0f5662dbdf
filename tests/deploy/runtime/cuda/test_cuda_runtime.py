"""The CUDA runtime on the emulated driver, under GCC's address and undefined sanitizers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from edgewright.deploy.cuda.emulator.kernel_library import FOLDER as EMULATOR
from edgewright.deploy.cuda.link import CUDA_LIBRARY, RUNTIME_FOLDER
from tests.deploy.runtime.conftest import BUILDS, RUNTIME, gcc

HERE = Path(__file__).parent
CASES = re.findall(r'^    \{"(\w+)", check_\w+\},$', (HERE / "cuda_checks.c").read_text(), re.M)

#: What the emulated driver is told in some cases; the kernels of all are for sm_87.
SETTINGS = {
    "no_device": {"EW_EMULATED_DEVICES": "0"},
    "other_gpu": {"EW_EMULATED_CAPABILITY": "90"},
    "newer_gpu_of_the_same_generation": {"EW_EMULATED_CAPABILITY": "89"},
    "bad_image": {"EW_EMULATED_BAD_IMAGE": "1", "EW_EMULATED_VERSION": "12060"},
    "small_device": {"EW_EMULATED_MEMORY_BYTES": "600"},
    "few_threads": {"EW_EMULATED_MAX_THREADS": "32"},
}

#: More calls of the driver than check_any_failure makes.
MANY_CALLS = 60


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checks, the emulated driver and the kernels, all under the sanitizers."""
    folder = tmp_path_factory.mktemp("cuda")
    flags = BUILDS["address"]
    runtime = [path for name in CUDA_LIBRARY for path in (RUNTIME / name, RUNTIME_FOLDER / name)]
    sources = [HERE / "cuda_checks.c", HERE / "fake_cuda_model.c"]
    sources += [path for path in runtime if path.exists()]
    gcc(*flags, f"-I{RUNTIME_FOLDER}", *sources, "-ldl", "-o", folder / "cuda_checks")
    shared = [*flags, "-fPIC", "-shared", f"-I{EMULATOR}", "-Wno-missing-prototypes"]
    gcc(*shared, HERE / "fake_kernels.c", "-o", folder / "kernels.so")
    gcc(*shared, *sorted(EMULATOR.glob("*.c")), "-ldl", "-o", folder / "libcuda.so.1")
    return folder


def run(
    build: Path, case: str, weights: Path, settings: dict[str, str], driver: bool = True
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EW_EMULATED_KERNELS": str(build / "kernels.so"), **settings}
    if driver:
        environment["LD_LIBRARY_PATH"] = str(build)
    return subprocess.run(
        [str(build / "cuda_checks"), case, str(weights)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


def test_every_check_is_run() -> None:
    text = (HERE / "cuda_checks.c").read_text()
    assert sorted(CASES) == sorted(re.findall(r"^static void check_(\w+)\(void\)", text, re.M))


@pytest.mark.parametrize("case", CASES)
def test_runtime(case: str, build: Path, weights_file: Path) -> None:
    driver = case != "no_driver"
    done = run(build, case, weights_file, SETTINGS.get(case, {}), driver)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "held\n"


def test_nothing_is_left_whichever_call_fails(build: Path, weights_file: Path) -> None:
    for number in range(1, MANY_CALLS):
        done = run(build, "any_failure", weights_file, {"EW_EMULATED_FAIL": str(number)})
        assert done.returncode == 0, f"call {number}: {done.stderr[-2000:]}"


def test_an_unknown_check_is_refused(build: Path, weights_file: Path) -> None:
    assert run(build, "nonsense", weights_file, {}).returncode == 2


@pytest.mark.parametrize(
    "header", sorted(path.name for path in RUNTIME_FOLDER.glob("*.h")), ids=lambda name: str(name)
)
def test_headers_stand_alone(header: str, tmp_path: Path) -> None:
    (tmp_path / "alone.c").write_text(f'#include "{header}"\nint main(void) {{ return 0; }}\n')
    include = f"-I{RUNTIME_FOLDER}"
    gcc("-Wpedantic", include, "-c", tmp_path / "alone.c", "-o", tmp_path / "alone.o")


def test_runtime_holds_no_global_state(tmp_path: Path) -> None:
    for path in sorted(RUNTIME_FOLDER.glob("*.c")):
        gcc("-O2", f"-I{RUNTIME_FOLDER}", "-c", path, "-o", tmp_path / "object.o")
        done = subprocess.run(
            ["size", "-A", str(tmp_path / "object.o")], capture_output=True, text=True
        )
        writable = re.findall(r"^\.(?:data|bss)\s+(\d+)", done.stdout, re.M)
        assert writable and all(size == "0" for size in writable), path.name
