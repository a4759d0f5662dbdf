"""Links what the compiler made and lays out a bundle in a folder."""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.compiler.options import Options
from edgewright.compiler.verify.golden import Golden
from edgewright.compiler.verify.runner import Array
from edgewright.deploy.boards.registry import Board
from edgewright.deploy.bundle import files_of, golden_path, hash_file
from edgewright.deploy.cuda.link import link_for_gpu
from edgewright.deploy.cuda.nvcc import Nvcc
from edgewright.deploy.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    FileEntry,
    GoldenEntry,
    LayerEntry,
    LibraryEntry,
    Manifest,
    MemoryEntry,
    dump_manifest,
)
from edgewright.deploy.output_folder import disk_errors
from edgewright.deploy.toolchain import Toolchain, copy_runtime, open_toolchain
from edgewright.spec.errors import EnvironmentFailure, ToolError

if TYPE_CHECKING:
    from edgewright.compiler.lower import Compiled

__all__ = ["write_bundle"]

_RUNTIME_MODULE = Path(__file__).parent / "runtime" / "edgewright_runtime.py"
_BUILD_FOLDER = ".build"
#: A linker that stops with less than this left has filled the disk, whatever it says.
_FULL_BELOW_BYTES = 1 << 20


def write_bundle(
    folder: Path,
    compiled: Compiled,
    golden: Golden,
    *,
    model_sha256: str,
    board: Board | None = None,
    toolchain: str = "zig",
    options: Options | None = None,
    nvcc: Nvcc | None = None,
) -> Manifest:
    """Fill an empty folder with a bundle.

    Args:
        folder: see :func:`edgewright.deploy.output_folder.staged_folder`.
        compiled: objects, sources, weights and plan.
        golden: what proves it.
        model_sha256: hash of the ONNX file.
        board: decides the glibc that the library may ask for; None for the oldest there is.
        toolchain: ``zig`` or ``gnu``.
        options: what the user asked of the compiler.
        nvcc: the compiler of a program for a GPU.

    Raises:
        ToolError: the toolchain is absent or failed.
        UnsupportedModelError: a kernel takes more than a launch on the GPU may.
        EnvironmentFailure: the disk is full.
        OutputError: the folder cannot be written.
    """
    options = options or Options()
    linker = open_toolchain(
        compiled.target, kind=toolchain, glibc=board.glibc if board is not None else None
    )
    with disk_errors(folder.parent):
        for name in ("lib", "bin", "include", "golden", "python", _BUILD_FOLDER):
            (folder / name).mkdir()
        build = folder / _BUILD_FOLDER
        with _full_disk_said(folder):
            if nvcc is None:
                _link(folder, build, compiled, linker, options.embed_weights)
            else:
                link_for_gpu(*(folder, build, compiled, linker, nvcc), embed=options.embed_weights)
        shutil.rmtree(build)
        if not options.embed_weights:
            (folder / "weights.bin").write_bytes(compiled.weights)
        shutil.copyfile(_RUNTIME_MODULE, folder / "python" / _RUNTIME_MODULE.name)
        _write_golden(folder, "input", golden.inputs)
        _write_golden(folder, "output", golden.outputs)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            generator=f"edgewright {importlib.metadata.version('edgewright')}",
            name=compiled.name,
            model_sha256=model_sha256,
            board=board.name if board is not None else compiled.target.name,
            target=compiled.target,
            toolchain={
                "kind": toolchain,
                "version": linker.describe(),
                "glibc": linker.glibc or "",
                **({"nvcc": nvcc.version} if nvcc is not None else {}),
            },
            library=LibraryEntry(f"lib/lib{compiled.name}.so", f"{compiled.name}_program"),
            weights="embed" if options.embed_weights else "file",
            options=options.described(),
            inputs=compiled.inputs,
            outputs=compiled.outputs,
            layers=_layers(compiled),
            memory=MemoryEntry(
                compiled.arena_bytes,
                compiled.scratch_bytes,
                len(compiled.weights),
                compiled.peak_live_bytes,
            ),
            golden=GoldenEntry(golden.seed, golden.reference),
            files={
                name: FileEntry(hash_file(folder / name), (folder / name).stat().st_size)
                for name in files_of(folder)
            },
        )
        (folder / MANIFEST_NAME).write_text(dump_manifest(manifest), encoding="utf-8")
    return manifest


@contextlib.contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    """Tell a full disk from a tool that failed for another reason.

    Raises:
        EnvironmentFailure: the disk is full.
        ToolError: the other reason.
    """
    try:
        yield
    except ToolError as error:
        if shutil.disk_usage(folder).free < _FULL_BELOW_BYTES:
            raise EnvironmentFailure(
                f"the disk is full: '{folder.parent}' has no room for the bundle",
                remedy="Free some space, or name a folder on another disk.",
            ) from error
        raise


def _link(folder: Path, build: Path, compiled: Compiled, linker: Toolchain, embed: bool) -> None:
    """Compile the C, link the libraries and the two programs; keep nothing else."""
    name = compiled.name
    runtime = copy_runtime(build)
    for file, content in compiled.objects.items():
        (build / file).write_bytes(content)
    for file, text in compiled.sources.items():
        (build / file).write_text(text, encoding="utf-8")
    common = [*compiled.objects]
    if embed:
        (build / "weights.bin").write_bytes(compiled.weights)
        common.append(linker.embed(build, "weights.bin", f"{name}_weights"))
    parts_of_all = [*runtime.library, *linker.extra_sources]
    library = [*linker.compile(build, ["model.c", *parts_of_all]), *common]
    linker.link_shared(build, library, f"lib{name}.so", program=f"{name}_program")
    linker.archive(build, library, f"lib{name}.a")
    programs = {"selftest": runtime.selftest, "bench": runtime.bench}
    sources = sorted({source for parts in programs.values() for source in parts})
    # Compiled again for the static C library, and with the macro by which model.c tells a
    # program which model is its own.
    sources = ["model.c", *parts_of_all, *sources]
    own = linker.compile(build, sources, static=True, defines=["EW_EXECUTABLE"])
    made = dict(zip(sources, own, strict=True))
    for program, parts in programs.items():
        objects = [made[source] for source in ("model.c", *parts_of_all, *parts)]
        linker.link_executable(build, [*objects, *common], program)
    for file in (f"lib{name}.so", f"lib{name}.a"):
        (build / file).rename(folder / "lib" / file)
    for file in programs:
        (build / file).rename(folder / "bin" / file)
    for file in (f"{name}.h", runtime.public_header):
        (build / file).rename(folder / "include" / file)


def _write_golden(folder: Path, role: str, arrays: Mapping[str, Array]) -> None:
    for index, array in enumerate(arrays.values()):
        (folder / golden_path(role, index)).write_bytes(array.tobytes())


def _layers(compiled: Compiled) -> tuple[LayerEntry, ...]:
    return tuple(
        LayerEntry(
            name=step.name,
            op=step.op,
            kernel=step.kernel,
            tasks=step.tasks,
            macs=step.macs,
            nodes=step.nodes,
            outputs=step.outputs,
            reason=step.reason,
            declined=step.declined,
        )
        for step in compiled.steps
    )
