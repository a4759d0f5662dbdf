"""Ships zig's cache with a container image, so that no container builds a C library again.

zig builds the C library, the start files and the compiler's runtime of an architecture when it
first links for it: half a minute, kept in its cache. It takes a cached result for valid only if the
sources have the inode and the time of modification that they had then (zig 0.17.1: the comparison
by content that should follow never succeeds for the sources named on the command line). Layers of
an image give every file another inode, so a cache built with the image would never be used.

The image's build therefore *seals* the cache: of some thousand entries it keeps the finished
libraries. The first use in a container *adopts* it: writes the inodes and times of the image's own
sources into the manifests. Their contents are those of the build, because an image does not change
and the sealed version of zig is compared. If anything here does not fit, nothing worse happens than
that zig builds the library.

A manifest (``h/<digest>``; ``lib/std/Build/Cache.zig`` of zig 0.17) lists source files, each as
size, inode, time of modification in ns, digest of 16 bytes, flags, path, zero byte; one more zero
byte ends it. The lowest flags tell directories and files without digest, the others the folder that
the path is relative to.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import struct
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["SEAL", "adopt", "seal"]

#: The file in a sealed cache: zig's version and, once adopted, which installation of it that was.
SEAL = "sealed"

_STATUS = struct.Struct("<QQq")  # size, inode, time of modification
_FLAGS_OFFSET = _STATUS.size + 16
_PATH_OFFSET = _FLAGS_OFFSET + 1
_DIRECTORY = 0b01
_PREFIX_SHIFT = 2
#: Numbers of zig's own ``lib`` folder and of the cache folders, local and global.
_LIB_PREFIX, _CACHE_PREFIXES = 1, (2, 3)
#: Objects of one source have at most a few; libraries have at least fifteen.
_LIBRARY_SOURCES = 10
_LIBRARY_ROOTS = ("std/std.zig", "libc/glibc/abilists")


class _Source(NamedTuple):
    """One file that a cached result was made from; ``offset`` is that of its entry."""

    offset: int
    size_bytes: int
    flags: int
    path: str


def seal(folder: Path) -> int:
    """Reduce a cache to the finished libraries, writable for all users, and mark it as sealed.

    Args:
        folder: zig's global cache, which no process is using.

    Returns:
        How many manifests were kept.
    """
    kept = 0
    for manifest in sorted((folder / "h").iterdir()):
        if _is_library(manifest):
            kept += 1
        elif manifest.name != "timestamp":
            manifest.unlink()
    for made in sorted((folder / "o").glob("*/*.o")):
        if "crt" not in made.name:
            made.unlink()
    for made_folder in sorted((folder / "o").iterdir()):
        if not any(made_folder.iterdir()):
            made_folder.rmdir()
    (folder / SEAL).write_text(importlib.metadata.version("ziglang") + "\n")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666 | (path.stat().st_mode & 0o111))
    return kept


def adopt(folder: Path, lib: Path) -> bool:
    """Make zig accept a sealed cache for its installation; nothing if it did, or is not sealed.

    Args:
        folder: zig's global cache.
        lib: the folder ``lib`` of the installation.

    Returns:
        Whether manifests were rewritten.
    """
    if not (folder / SEAL).is_file():
        return False
    try:
        status = (lib / "std" / "std.zig").stat()
        version = importlib.metadata.version("ziglang")
        wanted = f"{version}\n{status.st_dev} {status.st_ino} {status.st_mtime_ns}\n"
        sealed = (folder / SEAL).read_text()
        if sealed == wanted or sealed.split("\n", 1)[0] != version:
            return False
        locate = _locator(folder, lib)
        for manifest in (folder / "h").iterdir():
            if manifest.name != "timestamp":
                _refresh(manifest, locate)
        (folder / SEAL).write_text(wanted)
    except (OSError, importlib.metadata.PackageNotFoundError):
        return False  # zig names a cache that cannot be written, and does without this
    return True


def _locator(folder: Path, lib: Path) -> Callable[[int, str], os.stat_result]:
    """Returns what finds the status of a source, by the number of its folder and its path."""

    @cache
    def locate(prefix: int, path: str) -> os.stat_result:
        if prefix == _LIB_PREFIX:
            return os.stat(lib / path)
        if prefix in _CACHE_PREFIXES:
            return os.stat(folder / path)
        raise FileNotFoundError(path)

    return locate


def _refresh(manifest: Path, locate: Callable[[int, str], os.stat_result]) -> None:
    """Write the present inodes and times of its sources, unless one of them is another file."""
    with manifest.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = bytearray(file.read())
        try:
            for source in _sources(content):
                status = locate(source.flags >> _PREFIX_SHIFT, source.path)
                if source.flags & _DIRECTORY or status.st_size != source.size_bytes:
                    return
                changed = (source.size_bytes, status.st_ino, status.st_mtime_ns)
                _STATUS.pack_into(content, source.offset, *changed)
        except (ValueError, struct.error, FileNotFoundError):
            return  # written by another zig
        file.seek(0)
        file.write(content)


def _is_library(manifest: Path) -> bool:
    """Whether it is of a library or a start file, not of an object of one source."""
    try:
        paths = [source.path for source in _sources(manifest.read_bytes())]
    except (ValueError, struct.error):
        return False
    if not paths:
        return False
    sources = [path for path in paths if not path.endswith(".h")]
    return (
        paths[0] in _LIBRARY_ROOTS
        or (paths[0].startswith("libc/") and "crt" in Path(paths[0]).stem)
        or len(sources) >= _LIBRARY_SOURCES
    )


def _sources(content: bytes | bytearray) -> Iterator[_Source]:
    """The entries of a manifest.

    Raises:
        ValueError, struct.error: it is not laid out as this module expects.
    """
    offset = 0
    while offset + 1 < len(content):
        size_bytes, _, _ = _STATUS.unpack_from(content, offset)
        end = content.index(0, offset + _PATH_OFFSET)
        path = content[offset + _PATH_OFFSET : end].decode()
        yield _Source(offset, size_bytes, content[offset + _FLAGS_OFFSET], path)
        offset = end + 1


if __name__ == "__main__":
    print(f"Kept {seal(Path(sys.argv[1]))} manifests of {sys.argv[1]}")
