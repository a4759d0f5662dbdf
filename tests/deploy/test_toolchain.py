"""The toolchain driver: builds the runtime with a hand-written program for every kind of target."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from edgewright.deploy.runtime.build import build_program
from edgewright.deploy.runtime.edgewright_runtime import Model
from edgewright.deploy.toolchain import (
    Toolchain,
    arm_version,
    copy_runtime,
    needed_glibc,
    open_toolchain,
)
from edgewright.deploy.toolchain_gnu import GnuToolchain
from edgewright.deploy.toolchain_zig import ZigToolchain
from edgewright.spec.errors import TargetError, ToolError, UsageError
from edgewright.spec.target import Target, parse_target

FAKE = Path(__file__).parent / "runtime" / "fake_model.c"
WARNINGS = ("-Wall", "-Wextra", "-Werror")
ELEMS = 74

#: Cores, and the command that runs their programs here.
EMULATORS = {
    "cortex-a53": ("qemu-aarch64-static", "-cpu", "cortex-a53"),
    "cortex-a72": ("qemu-aarch64-static", "-cpu", "cortex-a72"),
    "cortex-a76": ("qemu-aarch64-static", "-cpu", "cortex-a76"),
    "cortex-a7": ("qemu-arm-static", "-cpu", "cortex-a7"),
    "arm1176": ("qemu-arm-static", "-cpu", "arm1176"),
    "arm926": ("qemu-arm-static", "-cpu", "arm926"),
    "x86-64-v2": (),
}
#: Needed by a shared library, apart from the dynamic linker itself.
ALLOWED_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0"}


def target_of(name: str) -> Target:
    if name == "x86-64-v2":
        return parse_target({"mtriple": "x86_64-linux-gnu", "mcpu": name})
    return parse_target(name)


def emulator_of(name: str) -> tuple[str, ...]:
    command = EMULATORS[name]
    if command and shutil.which(command[0]) is None:
        pytest.fail(f"{command[0]} is not installed: apt install qemu-user-static")
    return command


def golden() -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Inputs, outputs and weights of fake_model.c."""
    x = np.linspace(-3, 3, ELEMS, dtype=np.float32).reshape(2, 37)
    bias = np.arange(5, dtype=np.int32)
    weights = np.arange(ELEMS, dtype=np.float32) / 4
    return [x, bias], [2 * x + weights.reshape(2, 37), bias + 1], weights


def write_bundle(folder: Path) -> None:
    inputs, outputs, weights = golden()
    (folder / "golden").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(weights.tobytes())
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for index, array in enumerate(arrays):
            (folder / "golden" / f"{kind}{index}.bin").write_bytes(array.tobytes())


def build_everything(toolchain: Toolchain, folder: Path) -> None:
    """A bundle of the hand-written program in ``folder``, as deploy/bundle.py would make it."""
    write_bundle(folder)
    build = folder / "build"
    build.mkdir()
    shutil.copyfile(FAKE, build / "model.c")
    built = build_program(toolchain, build, name="fake", objects=[], flags=WARNINGS)
    for path, home in (
        (built.shared, "lib"),
        (built.archive, "lib"),
        (built.selftest, "bin"),
        (built.bench, "bin"),
    ):
        (folder / home).mkdir(exist_ok=True)
        shutil.move(path, folder / home / path.name)
    manifest = {"library": {"file": "lib/libfake.so", "symbol": "fake_program"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="session", params=sorted(EMULATORS))
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    bundle = folder / "bundle"
    build_everything(ZigToolchain(target_of(request.param)), bundle)
    return request.param, bundle


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)


def needed_libraries(library: Path) -> set[str]:
    with library.open("rb") as file:
        dynamic = ELFFile(file).get_section_by_name(".dynamic")
        return {tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}


def test_selftest_passes_under_emulation(built: tuple[str, Path]) -> None:
    name, bundle = built
    for threads in ("1", "3"):
        done = run(*emulator_of(name), bundle / "bin" / "selftest", "--threads", threads)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "PASS"
        assert done.stdout.splitlines()[0].startswith(
            "output 0 'y' float32: max abs error 0 at [0,0]"
        )


def test_selftest_runs_files(built: tuple[str, Path], tmp_path: Path) -> None:
    name, bundle = built
    (x, bias), _, weights = golden()
    (tmp_path / "in.bin").write_bytes((x + 1).tobytes() + (bias * 2).tobytes())
    command = (*emulator_of(name), bundle / "bin" / "selftest")
    done = run(*command, "--run", tmp_path / "in.bin", tmp_path / "out.bin", "--threads", "2")
    assert done.returncode == 0, done.stderr
    raw = (tmp_path / "out.bin").read_bytes()
    got_y = np.frombuffer(raw, dtype="<f4", count=ELEMS).reshape(2, 37)
    assert np.array_equal(got_y, 2 * (x + 1) + weights.reshape(2, 37))
    assert np.array_equal(np.frombuffer(raw, dtype="<i4", offset=4 * ELEMS), bias * 2 + 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.bin", "out.bin"]


def test_bench_measures_under_emulation(built: tuple[str, Path]) -> None:
    name, bundle = built
    command = (*emulator_of(name), bundle / "bin" / "bench", "--repeats", "7", "--warmup", "1")
    done = run(*command, "--profile", "--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    latency = measured["latency"]
    assert len(latency["samples_ms"]) == latency["repeats"] == 7
    assert latency["median_ms"] == sorted(latency["samples_ms"])[3]
    assert latency["min_ms"] <= latency["median_ms"] <= latency["p90_ms"] <= latency["p99_ms"]
    assert latency["p99_ms"] <= latency["max_ms"] == max(latency["samples_ms"])
    assert measured["inputs"] == "golden" and measured["threads"] == 1
    assert [s["name"] for s in measured["profile"]["steps"]] == ["double", 'add "weights"', "count"]
    assert sum(s["share"] for s in measured["profile"]["steps"]) == pytest.approx(1, abs=1e-4)


def test_executables_are_static(built: tuple[str, Path]) -> None:
    _, bundle = built
    for name in ("selftest", "bench"):
        with (bundle / "bin" / name).open("rb") as file:
            elf = ELFFile(file)
            assert not any(segment.header.p_type == "PT_INTERP" for segment in elf.iter_segments())
            assert elf.get_section_by_name(".symtab") is None


def test_shared_library_asks_for_little(built: tuple[str, Path]) -> None:
    _, bundle = built
    library = bundle / "lib" / "libfake.so"
    needed = {n for n in needed_libraries(library) if not n.startswith("ld-linux")}
    assert needed <= ALLOWED_LIBRARIES
    assert tuple(map(int, needed_glibc(library).split("."))) <= (2, 17)


def test_shared_library_exports_its_api_only(built: tuple[str, Path]) -> None:
    _, bundle = built
    with (bundle / "lib" / "libfake.so").open("rb") as file:
        symbols = list(ELFFile(file).get_section_by_name(".dynsym").iter_symbols())
    exported = {s.name for s in symbols if s.name and s.entry.st_shndx != "SHN_UNDEF"}
    assert "fake_program" in exported and {"ew_create", "ew_run", "ew_destroy"} <= exported
    assert all(name.startswith("ew_") for name in exported - {"fake_program"})


def test_outputs_hold_no_path_of_this_machine(built: tuple[str, Path]) -> None:
    _, bundle = built
    home = str(Path.home()).encode()
    for path in [*(bundle / "bin").iterdir(), *(bundle / "lib").iterdir()]:
        content = path.read_bytes()
        for trace in (str(bundle).encode(), b"site-packages", b"ziglang", home + b"/"):
            assert trace not in content, f"{path.name} holds {trace!r}"


@pytest.mark.parametrize("name", ["cortex-a72", "arm926"])
def test_rebuilding_elsewhere_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("one", "another/place"):
        build_everything(ZigToolchain(target_of(name)), tmp_path / folder)
    for part in ("bin/selftest", "bin/bench", "lib/libfake.so", "lib/libfake.a"):
        one, other = tmp_path / "one" / part, tmp_path / "another" / "place" / part
        assert one.read_bytes() == other.read_bytes(), part


@pytest.mark.parametrize("glibc", ["2.17", "2.28", "2.36"])
def test_library_keeps_to_the_glibc_asked_for(glibc: str, tmp_path: Path) -> None:
    toolchain = open_toolchain(target_of("cortex-a72"), glibc=glibc)
    (tmp_path / "a.c").write_text(
        "#include <pthread.h>\n#include <fcntl.h>\n"
        "int a_program(void) { return fcntl(0, F_GETFD) + (int)pthread_self(); }\n"
    )
    toolchain.link_shared(
        tmp_path, toolchain.compile(tmp_path, ["a.c"]), "a.so", program="a_program"
    )
    asked = tuple(map(int, glibc.split(".")))
    assert (2, 17) <= tuple(map(int, needed_glibc(tmp_path / "a.so").split("."))) <= asked


@pytest.mark.parametrize("core", ["cortex-a72", "arm1176", "arm926", "x86-64-v2"])
def test_static_library_needs_no_runtime_but_the_c_library(core: str, tmp_path: Path) -> None:
    toolchain = ZigToolchain(target_of(core))
    sources = copy_runtime(tmp_path)
    wanted: set[str] = set()
    for name in toolchain.compile(tmp_path, sources.library):
        with (tmp_path / name).open("rb") as file:
            symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
            wanted |= {s.name for s in symbols if s.entry.st_shndx == "SHN_UNDEF"}
    # libgcc and compiler-rt both have the __aeabi names; outlined atomics only newer ones have.
    assert not [
        n
        for n in wanted
        if n.startswith("__") and not n.startswith(("__aeabi", "__errno", "__sched"))
    ]
    assert any(n.startswith("pthread_") for n in wanted) == toolchain.has_threads


def test_weights_are_embedded(tmp_path: Path) -> None:
    toolchain = ZigToolchain(target_of("x86-64-v2"))
    for content in (b"first content", b"other content"):  # of one length: no cache may mix them up
        (tmp_path / "weights.bin").write_bytes(content)
        (tmp_path / "main.c").write_text(
            "#include <stdint.h>\n#include <unistd.h>\nextern const unsigned char net_weights[];\n"
            "int main(void) {\n"
            "  return (uintptr_t)net_weights % 64 || write(1, net_weights, 13) != 13;\n}\n"
        )
        objects = [*toolchain.compile(tmp_path, ["main.c"], static=True)]
        objects.append(toolchain.embed(tmp_path, "weights.bin", "net_weights"))
        toolchain.link_executable(tmp_path, objects, "main")
        done = subprocess.run([tmp_path / "main"], capture_output=True)
        assert done.returncode == 0 and done.stdout == content


def test_compiler_message_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("int f(void) { return missing_name; }\n")
    with pytest.raises(
        ToolError, match=r"compiling bad.c failed: zig exited.*missing_name"
    ) as caught:
        ZigToolchain(target_of("cortex-a72")).compile(tmp_path, ["bad.c"])
    assert caught.value.exit_status == 3 and "\n" not in str(caught.value)


def test_undefined_symbol_is_refused(tmp_path: Path) -> None:
    toolchain = ZigToolchain(target_of("cortex-a72"))
    (tmp_path / "a.c").write_text("int nowhere(void);\nint a_program(void) { return nowhere(); }\n")
    objects = toolchain.compile(tmp_path, ["a.c"])
    with pytest.raises(ToolError, match=r"linking a.so failed.*nowhere"):
        toolchain.link_shared(tmp_path, objects, "a.so", program="a_program")


def test_sources_of_one_stem_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same stem"):
        ZigToolchain(target_of("cortex-a72")).compile(tmp_path, ["a.c", "a.S"])


@pytest.mark.parametrize(
    ("core", "package"),
    [
        ("cortex-a72", "gcc-aarch64-linux-gnu"),
        ("cortex-a7", "gcc-arm-linux-gnueabihf"),
        ("arm926", "gcc-arm-linux-gnueabi"),
        ("x86-64-v2", "gcc"),
    ],
)
def test_absent_gnu_compiler_names_its_package(
    core: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=rf"Debian's package {package},"):
        open_toolchain(target_of(core), kind="gnu")


def test_gnu_refuses_hard_float_below_armv7() -> None:
    with pytest.raises(ToolError, match="hard-float C library does not run on 'arm1176'"):
        open_toolchain(target_of("arm1176"), kind="gnu")


def test_absent_ziglang_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"'ziglang' is not installed.*pip install ziglang"):
        open_toolchain(target_of("cortex-a72"))


def test_program_that_cannot_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain = ZigToolchain(target_of("cortex-a72"))
    monkeypatch.setattr(toolchain, "_zig", str(tmp_path / "gone" / "zig"))
    (tmp_path / "a.c").write_text("int a;\n")
    with pytest.raises(ToolError, match="'zig' cannot be started"):
        toolchain.compile(tmp_path, ["a.c"])


def test_gnu_builds_for_this_machine(tmp_path: Path) -> None:
    toolchain = GnuToolchain(target_of("x86-64-v2"))
    build_everything(toolchain, tmp_path / "bundle")
    done = run(tmp_path / "bundle" / "bin" / "selftest", "--threads", "2")
    assert done.returncode == 0 and done.stdout.endswith("PASS\n"), done.stdout + done.stderr
    assert toolchain.describe().split()[0].endswith("gcc")


def test_gnu_library_newer_than_allowed_is_refused(tmp_path: Path) -> None:
    toolchain = open_toolchain(target_of("x86-64-v2"), kind="gnu", glibc="2.2")
    (tmp_path / "a.c").write_text('#include <stdio.h>\nint a_program(void) { return puts(""); }\n')
    objects = toolchain.compile(tmp_path, ["a.c"])
    with pytest.raises(ToolError, match=r"needs glibc 2\.[0-9.]+, but at most 2\.2 was asked"):
        toolchain.link_shared(tmp_path, objects, "a.so", program="a_program")


def test_wrong_kind_and_version_are_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown toolchain 'msvc'.*zig and gnu"):
        open_toolchain(target_of("cortex-a72"), kind="msvc")
    with pytest.raises(UsageError, match=r"'2\.x' is not a version of glibc"):
        open_toolchain(target_of("cortex-a72"), glibc="2.x")


def test_description_is_name_and_version() -> None:
    name, version = ZigToolchain(target_of("cortex-a72")).describe().split()
    assert name == "zig" and version[0].isdigit() and os.sep not in version


@pytest.mark.parametrize(
    ("mtriple", "version"),
    [
        ("armv5te-linux-gnueabi", 5),
        ("armv6-unknown-linux-gnueabihf", 6),
        ("armv7l-linux-gnueabihf", 7),
        ("thumbv7em-linux-gnueabihf", 7),
    ],
)
def test_arm_version(mtriple: str, version: int) -> None:
    assert arm_version(parse_target({"mtriple": mtriple})) == version


def test_arm_without_version_is_refused() -> None:
    with pytest.raises(TargetError, match="does not say the version"):
        arm_version(parse_target({"mtriple": "arm-linux-gnueabihf"}))


def test_shared_library_of_zig_loads_and_runs(tmp_path: Path) -> None:
    build_everything(ZigToolchain(target_of("x86-64-v2")), tmp_path / "bundle")
    (x, bias), (y, z), _ = golden()
    with Model(tmp_path / "bundle", threads=2) as model:
        outputs = model.infer({"x": x, "bias": bias})
    np.testing.assert_array_equal(outputs["y"], y)
    np.testing.assert_array_equal(outputs["z"], z)
