"""Links a bundle for a GPU: the tables, the CUDA runtime and the kernels in one library."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.compiler.cuda.emit_model import COMPILER_MACRO
from edgewright.deploy.cuda.device_report import (
    REPORT_FILE,
    SOURCE_FILE,
    DeviceReport,
    dump_report,
)
from edgewright.deploy.cuda.nvcc import Nvcc
from edgewright.deploy.toolchain import Toolchain, copy_runtime
from edgewright.spec.errors import UnsupportedModelError

if TYPE_CHECKING:
    from edgewright.compiler.lower import Compiled

__all__ = ["CUDA_HEADER", "CUDA_LIBRARY", "RUNTIME_FOLDER", "link_for_gpu"]

RUNTIME_FOLDER = Path(__file__).parents[1] / "runtime" / "cuda"
#: Sources of every library for a GPU, in the build folder.
CUDA_LIBRARY = (
    "program.c",
    "weights.c",
    "cuda_driver.c",
    "cuda_load.c",
    "cuda_run.c",
    "cuda_runtime.c",
)
#: The second header for applications.
CUDA_HEADER = "edgewright_cuda.h"
#: The driver is loaded at run time.
_SYSTEM = ("-ldl",)
_SOURCE, _IMAGE, _SELECTED = "kernels.cu", "kernels.fatbin", "selected.c"


def link_for_gpu(
    folder: Path, build: Path, compiled: Compiled, linker: Toolchain, nvcc: Nvcc, *, embed: bool
) -> None:
    """Compile the kernels and the C, and put libraries, programs and reports into the bundle.

    Args:
        folder: the bundle, with its folders.
        build: an empty folder for what is kept no longer.
        compiled: with a device program.
        linker: for the host.
        nvcc: for the GPU.
        embed: link the weights into the library.

    Raises:
        ToolError: a tool failed.
        UnsupportedModelError: a kernel takes more than a launch on that GPU may.
    """
    name = compiled.name
    _compile_kernels(folder, build, compiled, nvcc)
    runtime = copy_runtime(build)
    for path in sorted([*RUNTIME_FOLDER.glob("*.c"), *RUNTIME_FOLDER.glob("*.h")]):
        shutil.copyfile(path, build / path.name)
    for file, text in compiled.sources.items():
        (build / file).write_text(text, encoding="utf-8")
    made_by = f'{COMPILER_MACRO}="{nvcc.describe()}"'
    common = [linker.embed(build, _IMAGE, f"{name}_image")]
    if embed:
        (build / "weights.bin").write_bytes(compiled.weights)
        common.append(linker.embed(build, "weights.bin", f"{name}_weights"))
    objects = linker.compile(build, ["model.c", *CUDA_LIBRARY], defines=[made_by])
    library = [*objects, *common]
    linker.link_shared(
        build, library, f"lib{name}.so", program=f"{name}_program", libraries=_SYSTEM
    )
    linker.archive(build, library, f"lib{name}.a")
    # Programs use the bundle's library: a static one could not load the driver, and four copies of
    # the kernels would be most of the bundle.
    selected = f"const struct ew_program* {name}_program(void);\n"
    selected += (
        f"const struct ew_program* ew_selected_program(void) {{ return {name}_program(); }}\n"
    )
    (build / _SELECTED).write_text(selected, encoding="utf-8")
    programs = {"selftest": runtime.selftest, "bench": runtime.bench}
    sources = sorted({_SELECTED, *(part for parts in programs.values() for part in parts)})
    made = dict(zip(sources, linker.compile(build, sources), strict=True))
    needed = (f"lib{name}.so", "-Wl,-rpath,$ORIGIN/../lib", *_SYSTEM)
    for program, parts in programs.items():
        linked = [made[part] for part in (_SELECTED, *parts)]
        linker.link_dynamic_executable(build, linked, program, libraries=needed)
    _move(build, folder / "lib", f"lib{name}.so", f"lib{name}.a")
    _move(build, folder / "bin", *programs)
    _move(build, folder / "include", f"{name}.h", runtime.public_header, CUDA_HEADER)


def _compile_kernels(folder: Path, build: Path, compiled: Compiled, nvcc: Nvcc) -> None:
    device = compiled.device
    assert device is not None
    (build / _SOURCE).write_text(device.source, encoding="utf-8")
    kernels = nvcc.compile(build, _SOURCE, _IMAGE)
    report = DeviceReport(device.gpu.arch, nvcc.describe(), kernels, device.launches)
    misfits = report.misfits()
    if misfits:
        raise UnsupportedModelError(
            f"this model cannot run on {device.gpu.arch}: {misfits[0]}",
            rule="Every launch must fit the architecture.",
            remedy="Report the model; until then compile it for a CPU.",
        )
    (folder / SOURCE_FILE).parent.mkdir()
    (folder / SOURCE_FILE).write_text(device.source, encoding="utf-8")
    (folder / REPORT_FILE).write_text(dump_report(report), encoding="utf-8")


def _move(build: Path, place: Path, *files: str) -> None:
    for file in files:
        (build / file).rename(place / file)
