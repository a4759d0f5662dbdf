"""Archives that the Linux kernel unpacks into its first file system: cpio, format ``newc``.

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html. Archives may follow one
another in one file; that is how a run adds its keys to an image made long before.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Entry", "cpio"]


@dataclass(frozen=True)
class Entry:
    """A file, or a folder.

    Attributes:
        content: the file's bytes; None makes a folder.
        permissions: such as 0o755.
    """

    content: bytes | None
    permissions: int = 0o644


def cpio(entries: Mapping[str, Entry]) -> bytes:
    """An archive, all of root's and without times.

    Args:
        entries: by path without a leading slash; a folder comes before what is in it.
    """
    archive = bytearray()
    for number, (path, entry) in enumerate(entries.items(), start=1):
        kind = stat.S_IFDIR if entry.content is None else stat.S_IFREG
        _append(archive, number, path, kind | entry.permissions, entry.content or b"")
    _append(archive, 0, "TRAILER!!!", 0, b"")
    return bytes(archive)


def _append(archive: bytearray, number: int, path: str, mode: int, content: bytes) -> None:
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
    archive += bytes(-len(archive) % 4) + content
    archive += bytes(-len(archive) % 4)
