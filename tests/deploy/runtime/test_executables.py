"""selftest and bench: what they accept, refuse and say. Built natively, under the sanitizers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgewright.deploy.toolchain import RuntimeSources
from tests.deploy.runtime.conftest import BUILDS, HERE, LIBRARY, RUNTIME, fake_weights, gcc


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    common = [*BUILDS["address"], "-DEW_EXECUTABLE", HERE / "fake_model.c",
              *(RUNTIME / name for name in LIBRARY)]  # fmt: skip
    sources = RuntimeSources()
    for name, parts in (("selftest", sources.selftest), ("bench", sources.bench)):
        gcc(*common, *(RUNTIME / part for part in parts), "-pthread", "-lm", "-o", folder / name)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of fake_model.c: weights and golden files."""
    folder = tmp_path / "bundle"
    (folder / "golden").mkdir(parents=True)
    x = np.linspace(-1, 1, 74, dtype=np.float32)
    bias = np.arange(5, dtype=np.int32)
    (folder / "weights.bin").write_bytes(fake_weights().tobytes())
    (folder / "golden" / "input0.bin").write_bytes(x.tobytes())
    (folder / "golden" / "input1.bin").write_bytes(bias.tobytes())
    (folder / "golden" / "output0.bin").write_bytes((2 * x + fake_weights()).tobytes())
    (folder / "golden" / "output1.bin").write_bytes((bias + 1).tobytes())
    return folder


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)


def change_golden(bundle: Path, name: str, index: int, value: float, dtype: str = "<f4") -> None:
    path = bundle / "golden" / name
    array = np.frombuffer(path.read_bytes(), dtype=dtype).copy()
    array[index] = value
    path.write_bytes(array.tobytes())


def test_selftest_passes(programs: Path, bundle: Path) -> None:
    done = run(programs / "selftest", "--bundle", bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [
        "output 1 'z' int32: max abs error 0 at [0] (got 1, expected 1), tolerance 0: ok",
        "PASS",
    ]


def test_selftest_says_where_it_fails(programs: Path, bundle: Path) -> None:
    change_golden(bundle, "output0.bin", 40, 12.0)  # true value 10.1918
    done = run(programs / "selftest", "--bundle", bundle)
    assert done.returncode == 1
    assert "output 0 'y' float32: max abs error 1.81 at [1,3] (got 10.19" in done.stdout
    assert "expected 12)" in done.stdout
    assert done.stdout.splitlines()[0].endswith(": FAIL")
    assert done.stdout.splitlines()[-1] == "FAIL"
    assert run(programs / "selftest", "--bundle", bundle, "--atol", "2").returncode == 0
    assert run(programs / "selftest", "--bundle", bundle, "--rtol", "0.5").returncode == 0


def test_default_tolerance_is_relative_to_the_largest_value(programs: Path, bundle: Path) -> None:
    largest = float(2 + fake_weights()[-1])
    for error, status in ((0.9e-4 * largest, 0), (1.2e-4 * largest, 1)):
        change_golden(bundle, "output0.bin", 0, -2 + error)
        assert run(programs / "selftest", "--bundle", bundle).returncode == status


def test_integers_must_be_equal(programs: Path, bundle: Path) -> None:
    change_golden(bundle, "output1.bin", 4, 6, "<i4")
    done = run(programs / "selftest", "--bundle", bundle, "--rtol", "10")
    assert done.returncode == 1 and "max abs error 1 at [4]" in done.stdout
    assert run(programs / "selftest", "--bundle", bundle, "--atol", "1").returncode == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["input0.bin", "output0.bin"])
def test_not_finite_fails(programs: Path, bundle: Path, name: str, value: float) -> None:
    change_golden(bundle, name, 5, value)
    done = run(programs / "selftest", "--bundle", bundle, "--atol", "1e30")
    assert done.returncode == 1 and "not finite at [0,5]" in done.stdout


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("weights.bin", None, "weights.bin' cannot be read: No such file"),
        ("weights.bin", b"short", "5 bytes, but the weights of the program 'fake' have 296"),
        ("golden/input1.bin", None, "input1.bin' cannot be read"),
        ("golden/input1.bin", b"short", "ends within the tensor 'bias'; it must have 20 bytes"),
        ("golden/output1.bin", b"x" * 21, "has more than the 20 bytes"),
    ],
)
def test_broken_bundle_is_an_environment_error(
    programs: Path, bundle: Path, file: str, content: bytes | None, part: str
) -> None:
    if content is None:
        (bundle / file).unlink()
    else:
        (bundle / file).write_bytes(content)
    done = run(programs / "selftest", "--bundle", bundle)
    assert done.returncode == 3 and part in done.stderr


def test_failing_kernel_is_reported(programs: Path, bundle: Path) -> None:
    change_golden(bundle, "input0.bin", 5, -1000.0)
    for name in ("selftest", "bench"):
        done = run(programs / name, "--bundle", bundle)
        assert done.returncode == 3
        assert "EW_KERNEL_FAILED: step 0 'double' failed: kernel f32_double" in done.stderr


def test_failed_run_leaves_no_output(programs: Path, bundle: Path, tmp_path: Path) -> None:
    done = run(programs / "selftest", "--bundle", bundle, "--run", bundle / "weights.bin",
               tmp_path / "out.bin")  # fmt: skip
    assert done.returncode == 3 and "ends within the tensor 'bias'" in done.stderr
    (tmp_path / "in.bin").write_bytes(bytes(74 * 4 + 20))
    done = run(programs / "selftest", "--bundle", bundle, "--run", tmp_path / "in.bin",
               tmp_path / "no" / "out.bin")  # fmt: skip
    assert done.returncode == 3 and "out.bin' cannot be written: No such file" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "in.bin"]


@pytest.mark.parametrize(
    ("program", "arguments", "part"),
    [
        ("selftest", ["--nonsense"], "unknown argument '--nonsense'"),
        ("selftest", ["--run", "a"], "--run needs two files"),
        ("selftest", ["--threads", "65"], "--threads is '65', but must be a number from 0 to 64"),
        ("selftest", ["--threads", "1.5"], "must be a whole number"),
        ("selftest", ["--atol", "nan"], "--atol is 'nan'"),
        ("bench", ["--repeats", "0"], "--repeats is '0'"),
        ("bench", ["--seconds", "soon"], "--seconds is 'soon'"),
        ("bench", ["--cpus"], "--cpus needs a value"),
    ],
)
def test_bad_use(programs: Path, program: str, arguments: list[str], part: str) -> None:
    done = run(programs / program, *arguments)
    assert done.returncode == 2 and part in done.stderr and "usage:" in done.stderr


@pytest.mark.parametrize("cpus", ["1-", "3-1", "0,,1", "a"])
def test_cpus_are_a_list(programs: Path, cpus: str) -> None:
    done = run(programs / "bench", "--cpus", cpus)
    assert done.returncode == 2
    assert f"--cpus is '{cpus}', but must be a list such as 4-7" in done.stderr


def test_cpus_that_are_not_there_are_refused(programs: Path) -> None:
    done = run(programs / "bench", "--cpus", "1000")
    assert done.returncode == 3 and "cannot stay on the CPUs 1000: Invalid argument" in done.stderr


@pytest.mark.parametrize("program", ["selftest", "bench"])
def test_help(programs: Path, program: str) -> None:
    done = run(programs / program, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {program}")


def test_bench_prints_a_table(programs: Path, bundle: Path) -> None:
    done = run(programs / "bench", "--bundle", bundle, "--repeats", "5", "--profile")
    assert done.returncode == 0, done.stderr
    for word in ("load", "first run", "median", "p90", "p99", "f32_add", "Profiling itself costs"):
        assert word in done.stdout


def test_bench_without_golden_uses_random_inputs(programs: Path, bundle: Path) -> None:
    for path in (bundle / "golden").iterdir():
        path.unlink()
    done = run(
        programs / "bench", "--bundle", bundle, "--repeats", "3", "--json", "--cpus", "0,0-0"
    )
    measured = json.loads(done.stdout)
    assert measured["inputs"] == "random" and measured["cpus"] == "0,0-0"
    assert measured["peak_memory_bytes"] > 100_000
    assert measured["profile"] is None and measured["latency"]["repeats"] == 3


def test_bench_stops_after_seconds(programs: Path, bundle: Path) -> None:
    done = run(programs / "bench", "--bundle", bundle, "--seconds", "0.05", "--json")
    total_ms = sum(json.loads(done.stdout)["latency"]["samples_ms"])
    assert 0 < total_ms < 5000
