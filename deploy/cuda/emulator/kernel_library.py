"""Generated CUDA C++ as a library for this machine's CPU."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from edgewright.deploy.toolchain import run_tool
from edgewright.spec.errors import ToolError

__all__ = ["FOLDER", "build_driver", "build_kernels"]

FOLDER = Path(__file__).parent

_KERNEL = re.compile(
    r'^extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\([^;{]*\) \{$', re.MULTILINE
)
_WAITS = re.compile(r"__syncthreads|__shfl|__activemask")
_CLANG = (sys.executable, "-m", "ziglang")
_FLAGS = ("-O2", "-g0", "-fPIC", "-shared", "-fno-sanitize=undefined", "-fno-math-errno")


def build_kernels(source: str, folder: Path) -> Path:
    """Compile kernels for this machine, with a table of them; the library's path.

    Args:
        source: CUDA C++ as the compiler generates it.
        folder: where the library and what it is made from are put.

    Raises:
        ToolError: the compiler is absent, or the kernels use something that only a GPU has.
    """
    bodies = _bodies(source)
    if not bodies:
        raise ToolError("the CUDA source holds no kernel", remedy="Compile the model again.")
    rows = "\n".join(
        f'  {{"{name}", [](void** p) {{ ew_call({name}, p); }}, ew_count({name}), {int(waits)}}},'
        for name, waits in bodies.items()
    )
    table = (
        "\n// The emulator's table of the kernels above.\n"
        '__attribute__((section("ew_shared"))) static unsigned char ew_shared_is_here[64];\n'
        'extern "C" unsigned char __start_ew_shared[], __stop_ew_shared[];\n'
        f"static const ew_emulated_kernel ew_kernels[] = {{\n{rows}\n}};\n"
        'extern "C" void ew_emulated_open(ew_emulated_library* library) {\n'
        "  *(volatile unsigned char*)ew_shared_is_here = 0;\n"
        f"  library->kernels = ew_kernels;\n  library->num_kernels = {len(bodies)};\n"
        "  library->services = &ew_services;\n  library->place = &ew_place;\n"
        "  library->shared_begin = __start_ew_shared;\n"
        "  library->shared_bytes = (size_t)(__stop_ew_shared - __start_ew_shared);\n}\n"
    )
    # NVIDIA's compiler takes this in any order, the CPU's in one.
    ordered = re.sub(r"__shared__ (alignas\(\d+\))", r"\1 __shared__", source)
    (folder / "kernels.cpp").write_text(ordered + table, encoding="utf-8")
    command = [
        *_CLANG,
        "c++",
        *_FLAGS,
        "-nostdlib++",
        "-std=c++17",
        "-w",
        f"-I{FOLDER / 'include'}",
    ]
    command += [f"-I{FOLDER}", "kernels.cpp", "-o", "kernels.so"]
    run_tool(command, folder, "compiling the kernels for this machine")
    return folder / "kernels.so"


def build_driver(folder: Path) -> Path:
    """Compile the emulated driver as ``libcuda.so.1``; the library's path.

    Raises:
        ToolError: the compiler is absent.
    """
    sources = [str(path) for path in sorted(FOLDER.glob("*.c"))]
    command = [*_CLANG, "cc", *_FLAGS, "-std=gnu11", f"-I{FOLDER}", *sources]
    command += ["-Wl,-soname,libcuda.so.1", "-ldl", "-o", "libcuda.so.1"]
    run_tool(command, folder, "compiling the emulated driver")
    return folder / "libcuda.so.1"


def _bodies(source: str) -> dict[str, bool]:
    """Each kernel, and whether its threads wait for one another."""
    found = list(_KERNEL.finditer(source))
    ends = [match.start() for match in found[1:]] + [len(source)]
    return {
        match.group(1): _WAITS.search(source, match.end(), end) is not None
        for match, end in zip(found, ends, strict=True)
    }
