"""Compiles and links C and object files for a target: with zig, or with a GNU cross compiler.

The ``ziglang`` wheel is a whole cross toolchain: clang, a linker, musl for static executables and
the symbols of every glibc version for shared libraries. A GNU compiler serves who must use one.

Everything runs in one build folder with relative names, so that no path of this machine reaches the
output and the same input gives the same bytes. ``edgewright.deploy.runtime.build``
builds a bundle's library and executables with it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgewright.deploy.elf_needs import read_needs
from edgewright.spec.errors import TargetError, ToolError, UsageError
from edgewright.spec.target import Target
from edgewright.spec.versions import version_key

__all__ = [
    "RuntimeSources",
    "Toolchain",
    "arm_version",
    "compile_runtime",
    "copy_runtime",
    "needed_glibc",
    "open_toolchain",
    "run_tool",
]

_RUNTIME_FOLDER = Path(__file__).parent / "runtime"

_TIMEOUT_SECONDS = 600
_MESSAGE_LINES = 6


@dataclass(frozen=True)
class RuntimeSources:
    """Names of the C runtime's files in a build folder.

    Attributes:
        library: sources of every library.
        selftest: sources of ``selftest``, besides the library's.
        bench: sources of ``bench``, besides the library's.
        headers: what the sources include.
        public_header: the one header for applications.
    """

    library: tuple[str, ...] = (
        "program.c",
        "runtime.c",
        "thread_pool.c",
        "weights.c",
        "workspace_memory.c",
    )
    selftest: tuple[str, ...] = ("selftest.c", "bundle_files.c")
    bench: tuple[str, ...] = (
        "bench.c",
        "bench_peak.c",
        "bench_report.c",
        "bundle_files.c",
    )
    headers: tuple[str, ...] = (
        "bench_report.h",
        "bundle_files.h",
        "edgewright.h",
        "options.h",
        "program.h",
        "thread_pool.h",
        "weights.h",
        "workspace_memory.h",
    )
    public_header: str = "edgewright.h"


def copy_runtime(folder: Path) -> RuntimeSources:
    """Copy the C runtime's sources and headers into a build folder."""
    sources = RuntimeSources()
    for path in sorted([*_RUNTIME_FOLDER.glob("*.c"), *_RUNTIME_FOLDER.glob("*.h")]):
        shutil.copyfile(path, folder / path.name)
    return sources


def arm_version(target: Target) -> int:
    """The version of the ARM architecture that a 32-bit target has: 5, 6, 7 or 8.

    Raises:
        TargetError: the target is not 32-bit ARM, or its triple does not say.
    """
    arch = target.mtriple.split("-", 1)[0]
    digits = arch.removeprefix("thumb").removeprefix("arm").removeprefix("v")[:1]
    if target.arch == "arm" and digits.isdigit():
        return int(digits)
    raise TargetError(
        f"the triple '{target.mtriple}' does not say the version of the ARM architecture",
        rule="It decides which instructions and which C library the program may use.",
        remedy="Write it out, as in armv7l-linux-gnueabihf.",
    )


class Toolchain(ABC):
    """A C compiler, linker and archiver for one target.

    Attributes:
        target: what code is made for.
        glibc: the newest glibc that a shared library may ask for; None: no limit.
        name: ``zig`` or ``gnu``.
    """

    name: ClassVar[str]

    def __init__(self, target: Target, glibc: str | None) -> None:
        self.target = target
        self.glibc = glibc

    @property
    def has_threads(self) -> bool:
        """Whether the runtime is built with threads: not below armv7, which lacks the atomics."""
        return self.target.arch != "arm" or arm_version(self.target) >= 7

    @property
    def extra_sources(self) -> tuple[str, ...]:
        """Runtime sources that only this toolchain needs for this target."""
        return ()

    @abstractmethod
    def describe(self) -> str:
        """Name and version, for the manifest; the same on every machine with that version."""

    @abstractmethod
    def _compile_command(self, static: bool) -> list[str]: ...

    @abstractmethod
    def _link_command(self, static: bool) -> list[str]: ...

    @abstractmethod
    def _archive_command(self) -> list[str]: ...

    def compile(
        self,
        folder: Path,
        sources: Sequence[str],
        *,
        static: bool = False,
        defines: Sequence[str] = (),
        flags: Sequence[str] = (),
    ) -> list[str]:
        """Compile C or assembler sources, in parallel, to position-independent objects.

        The C library of static executables is another one than that of shared libraries, and their
        headers give objects that do not mix.

        Args:
            folder: the build folder; headers are looked for there too.
            sources: file names relative to it, each with a stem of its own.
            static: for executables instead of libraries.
            defines: macros, such as ``EW_EXECUTABLE`` or ``NAME=value``.
            flags: more compiler flags.

        Returns:
            The objects' names in the order of the sources: for ``program.c`` ``program.o`` or, if
            static, ``program.static.o``.

        Raises:
            ToolError: the compiler is absent or refuses a source.
            UsageError: two sources would become one object.
        """
        suffix = ".static.o" if static else ".o"
        objects = [str(Path(source).with_suffix(suffix)) for source in sources]
        if len(set(objects)) != len(objects):
            raise UsageError(
                f"two of the sources {', '.join(sources)} have the same stem",
                rule="Each source becomes an object of the same stem.",
            )
        threads = [] if self.has_threads else ["-DEW_NO_THREADS"]
        common = [
            *self._compile_command(static),
            "-std=c11",
            "-O2",
            "-g0",
            "-fPIC",
            "-DNDEBUG",
            "-I.",
        ]
        common += ["-ffunction-sections", "-fdata-sections", *threads]
        common += [*(f"-D{define}" for define in defines), *flags]
        common.append(f"-ffile-prefix-map={folder.resolve()}=.")

        def compile_one(pair: tuple[str, str]) -> None:
            source, made = pair
            run_tool([*common, "-c", source, "-o", made], folder, f"compiling {source}")

        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(compile_one, zip(sources, objects, strict=True)))
        return objects

    def embed(self, folder: Path, binary: str, symbol: str) -> str:
        """Make an object that holds a file's bytes, read-only and aligned to 64 bytes.

        Args:
            folder: the build folder.
            binary: the file's name in it.
            symbol: the name of the array, not exported from a shared library.

        Returns:
            The object's name, ``<symbol>.o``; it serves libraries and executables.

        Raises:
            ToolError: the assembler fails.
        """
        # The digest is for zig's cache, which knows the text of a source but not what it includes.
        digest = hashlib.sha256((folder / binary).read_bytes()).hexdigest()
        source = f"{symbol}.S"
        (folder / source).write_text(
            f"// {binary}: sha256 {digest}\n"
            f'.section .rodata.{symbol},"a",%progbits\n'
            f".balign 64\n.globl {symbol}\n.hidden {symbol}\n.type {symbol},%object\n"
            f'{symbol}:\n.incbin "{binary}"\n.size {symbol}, . - {symbol}\n'
            '.section .note.GNU-stack,"",%progbits\n'
        )
        return self.compile(folder, [source])[0]

    def link_shared(
        self,
        folder: Path,
        objects: Sequence[str],
        out: str,
        *,
        program: str,
        libraries: Sequence[str] = (),
    ) -> None:
        """Link a shared library that exports ``ew_*`` and one program function, nothing else.

        Args:
            folder: the build folder.
            objects: names of objects in it.
            out: the library's file name; also its soname.
            program: the function that generated code defines, ``NAME_program``.
            libraries: more of the system's, such as ``-ldl``.

        Raises:
            ToolError: the linker fails, a symbol is undefined, or the library would ask for a newer
                glibc than allowed.
        """
        script = f"{out}.map"
        (folder / script).write_text(f"{{ global: ew_*; {program}; local: *; }};\n")
        run_tool(
            [
                *self._link_command(static=False),
                "-shared",
                "-s",
                *objects,
                f"-Wl,-soname,{Path(out).name}",
                f"-Wl,--version-script={script}",
                # A program's calls of the runtime go to the runtime it was linked with, even if the
                # process holds another library's.
                "-Wl,-Bsymbolic",
                "-Wl,--gc-sections,-z,defs",
                "-lm",
                "-lpthread",
                *libraries,
                "-o",
                out,
            ],
            folder,
            f"linking {out}",
        )
        needed = needed_glibc(folder / out)
        if self.glibc is not None and version_key(needed) > version_key(self.glibc):
            raise ToolError(
                f"the library {out} needs glibc {needed}, but at most {self.glibc} was asked for",
                rule="A GNU compiler links with the glibc it was installed with.",
                remedy="Use the toolchain zig, or ask for that version.",
            )

    def link_executable(self, folder: Path, objects: Sequence[str], out: str) -> None:
        """Link a static, stripped executable that needs nothing on the board but Linux.

        Raises:
            ToolError: the linker fails or a symbol is undefined.
        """
        command = [*self._link_command(static=True), "-static", "-s", *objects, "-Wl,--gc-sections"]
        run_tool([*command, "-lm", "-lpthread", "-o", out], folder, f"linking {out}")

    def link_dynamic_executable(
        self, folder: Path, objects: Sequence[str], out: str, *, libraries: Sequence[str]
    ) -> None:
        """Link a stripped executable that loads the system's C library, and so can load others.

        Args:
            folder: the build folder.
            objects: names of objects in it, not compiled for static executables.
            out: its file name.
            libraries: more of the system's, such as ``-ldl``.

        Raises:
            ToolError: the linker fails or a symbol is undefined.
        """
        command = [*self._link_command(static=False), "-s", *objects, "-Wl,--gc-sections"]
        command += ["-lm", "-lpthread", *libraries, "-o", out]
        run_tool(command, folder, f"linking {out}")

    def archive(self, folder: Path, objects: Sequence[str], out: str) -> None:
        """Make a static library, with no times or owners in it, from scratch.

        Raises:
            ToolError: the archiver fails.
        """
        (folder / out).unlink(missing_ok=True)
        run_tool([*self._archive_command(), "rcsD", out, *objects], folder, f"archiving {out}")


def open_toolchain(target: Target, *, kind: str = "zig", glibc: str | None = None) -> Toolchain:
    """The toolchain for a target.

    Args:
        target: what code is made for.
        kind: ``zig`` or ``gnu``.
        glibc: the newest version a shared library may ask for, such as ``2.28``; by default 2.17
            with zig and no limit with gnu.

    Raises:
        ToolError: the toolchain is not installed, or cannot build for the target.
        UsageError: no such kind, or a malformed version.
    """
    if glibc is not None and not all(part.isdigit() for part in glibc.split(".", 1)):
        raise UsageError(
            f"'{glibc}' is not a version of glibc", remedy="Write it as 2.28, for instance."
        )
    # Late, because both modules need the class above.
    from edgewright.deploy.toolchain_gnu import GnuToolchain
    from edgewright.deploy.toolchain_zig import ZigToolchain

    if kind == "zig":
        return ZigToolchain(target, glibc)
    if kind == "gnu":
        return GnuToolchain(target, glibc)
    raise UsageError(f"unknown toolchain '{kind}'", rule="Toolchains are zig and gnu.")


def needed_glibc(library: Path) -> str:
    """The newest version of glibc whose symbols an ELF file asks for; ``0`` if of none."""
    needs = read_needs(library, library.name)
    return needs.newest.version if needs is not None and needs.newest is not None else "0"


def run_tool(command: Sequence[str], folder: Path, doing: str, *, errors_too: bool = False) -> str:
    """Run a program in a folder and return what it writes to stdout.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        doing: what for, for the error.
        errors_too: return what it writes to stderr too, behind the other.

    Raises:
        ToolError: it is absent, takes too long, or fails; with the first lines of its message.
    """
    program = Path(command[0]).name
    environment = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except OSError as error:
        raise ToolError(
            f"{doing} failed because the program '{program}' cannot be started ({error.strerror})",
            remedy="Install it, or choose another toolchain.",
        ) from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{doing}: {program} took longer than {_TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = " | ".join(lines[:_MESSAGE_LINES]) or "nothing"
        raise ToolError(f"{doing} failed: {program} exited with {done.returncode} and said: {said}")
    return done.stdout + done.stderr if errors_too else done.stdout


def compile_runtime(toolchain: Toolchain, folder: Path) -> list[str]:
    """Compile the C runtime in a new folder, once for all libraries; its objects' paths."""
    folder.mkdir()
    sources = copy_runtime(folder)
    made = toolchain.compile(folder, [*sources.library, *toolchain.extra_sources])
    return [str(folder.resolve() / name) for name in made]
