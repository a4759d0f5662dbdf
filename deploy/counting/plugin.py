"""Builds the TCG plugin that counts instructions, on first use, into the user's cache.

QEMU loads plugins made for the version of its plugin interface only, so there is one for each.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import tempfile
from pathlib import Path

from edgewright.deploy.toolchain import run_tool
from edgewright.spec.errors import EnvironmentFailure, ToolError

__all__ = ["build_plugin", "cache_folder"]

_FOLDER = Path(__file__).parent
_SOURCES = ("instruction_counter.c", "decode_a64.c", "decode_arm.c")
_HEADERS = ("classes.h", "qemu_plugin_api.h")
_FLAGS = ("-std=gnu11", "-O2", "-g0", "-fPIC", "-shared", "-fvisibility=hidden")


def cache_folder() -> Path:
    """Where plugins are kept: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification says to ignore a relative path.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "edgewright" / "plugins"


def build_plugin(api_version: int) -> Path:
    """The plugin for one version of QEMU's plugin interface, built unless the cache holds it.

    Args:
        api_version: 1 for QEMU 6.0 to 8.2, 2 for 9.0, 3 and more for later ones.

    Raises:
        ToolError: there is no C compiler for this machine, or it fails.
        EnvironmentFailure: the cache cannot be written.
    """
    folder = cache_folder()
    flags = [*_FLAGS, f"-DEW_PLUGIN_API={api_version}"]
    name = f"instruction_counter-{_digest(flags)}.so"
    if (folder / name).is_file():
        return folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as build:
            for source in (*_SOURCES, *_HEADERS):
                shutil.copyfile(_FOLDER / source, Path(build) / source)
            _compile(Path(build), [*flags, *_SOURCES, "-o", name])
            # Renamed whole: another process may be about to load it.
            os.replace(Path(build) / name, folder / name)
    except OSError as error:
        raise EnvironmentFailure(
            f"the cache '{folder}' cannot be written ({error.strerror})",
            rule="It keeps the plugin that counts instructions.",
            remedy="Set XDG_CACHE_HOME to a folder that can be written.",
        ) from error
    return folder / name


def _digest(flags: list[str]) -> str:
    """Changes with the sources, the flags and the machine; 16 hexadecimal digits."""
    digest = hashlib.sha256(" ".join([platform.machine(), *flags]).encode())
    for source in (*_SOURCES, *_HEADERS):
        digest.update((_FOLDER / source).read_bytes())
    return digest.hexdigest()[:16]


def _compile(build: Path, arguments: list[str]) -> None:
    """Compile with the system's compiler; with zig's if there is none or it fails."""
    failures = []
    for compiler in _compilers():
        try:
            run_tool([*compiler, *arguments], build, "compiling the instruction counter")
        except ToolError as error:
            failures.append(error.what)
        else:
            return
    raise ToolError(
        "; ".join(failures) or "there is no C compiler for this machine",
        rule="The plugin that counts instructions is compiled on first use.",
        remedy="Install a C compiler: sudo apt-get install gcc libc6-dev.",
    )


def _compilers() -> list[list[str]]:
    compilers = [[found] for name in ("cc", "gcc", "clang") if (found := shutil.which(name))][:1]
    spec = importlib.util.find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        compilers.append([str(Path(spec.origin).parent / "zig"), "cc"])
    return compilers
