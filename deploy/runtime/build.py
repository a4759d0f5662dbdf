"""Builds a program's library and executables from generated code, kernels and the C runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewright.deploy.toolchain import Toolchain, copy_runtime

__all__ = ["PUBLIC_HEADER", "PYTHON_RUNTIME", "BuiltProgram", "build_program"]

_FOLDER = Path(__file__).parent

#: The one header for applications; a bundle ships it as ``include/edgewright.h``.
PUBLIC_HEADER = _FOLDER / "edgewright.h"
#: The stand-alone Python module; a bundle ships it as ``python/edgewright_runtime.py``.
PYTHON_RUNTIME = _FOLDER / "edgewright_runtime.py"


@dataclass(frozen=True)
class BuiltProgram:
    """Files that :func:`build_program` made.

    Attributes:
        shared: ``libNAME.so``.
        archive: ``libNAME.a``.
        selftest: static executable.
        bench: static executable.
    """

    shared: Path
    archive: Path
    selftest: Path
    bench: Path


def build_program(
    toolchain: Toolchain,
    folder: Path,
    *,
    name: str,
    sources: Sequence[str] = ("model.c",),
    objects: Sequence[str] = ("kernels.o",),
    embedded_weights: str | None = None,
    selftest_tolerance: tuple[float, float] | None = None,
    flags: Sequence[str] = (),
) -> BuiltProgram:
    """Build the shared library, the archive, ``selftest`` and ``bench`` of one program.

    Args:
        toolchain: what to build with.
        folder: the build folder; holds the sources, objects and weights, and receives the outputs.
        name: the program's name: the libraries are ``libNAME``, its function is ``NAME_program``.
        sources: generated C, compiled with ``EW_EXECUTABLE`` for the executables.
        objects: kernels, which call no C library beyond memcpy, memset and libm.
        embedded_weights: file whose bytes become the symbol ``NAME_weights``; None embeds nothing.
        selftest_tolerance: atol and rtol compiled into ``selftest``; None keeps 0 and 1e-4.
        flags: more compiler flags.

    Raises:
        ToolError: the toolchain is absent or fails.
    """
    runtime = copy_runtime(folder)
    shared_objects = list(objects)
    if embedded_weights is not None:
        shared_objects.append(toolchain.embed(folder, embedded_weights, f"{name}_weights"))
    library = [*sources, *runtime.library, *toolchain.extra_sources]
    in_library = [*toolchain.compile(folder, library, flags=flags), *shared_objects]
    programs = sorted({*runtime.selftest, *runtime.bench})
    defines = ["EW_EXECUTABLE"]
    if selftest_tolerance is not None:
        atol, rtol = selftest_tolerance
        defines += [f"EW_SELFTEST_ATOL={float(atol)!r}", f"EW_SELFTEST_RTOL={float(rtol)!r}"]
    static = toolchain.compile(
        folder, [*library, *programs], static=True, defines=defines, flags=flags
    )
    of = dict(zip(programs, static[len(library) :], strict=True))
    in_executables = [*static[: len(library)], *shared_objects]
    shared, archive = f"lib{name}.so", f"lib{name}.a"
    toolchain.link_shared(folder, in_library, shared, program=f"{name}_program")
    toolchain.archive(folder, in_library, archive)
    for program, parts in (("selftest", runtime.selftest), ("bench", runtime.bench)):
        toolchain.link_executable(folder, [*(of[s] for s in parts), *in_executables], program)
    return BuiltProgram(folder / shared, folder / archive, folder / "selftest", folder / "bench")
