"""Load the compiler's objects into this process: links them to a shared library with zig."""

from __future__ import annotations

import ctypes
import io
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile


class LoadedObjects:
    """Kernels by C symbol, and what their objects leave undefined."""

    def __init__(self, library: ctypes.CDLL, undefined: frozenset[str]) -> None:
        self._library = library
        self.undefined = undefined

    def call(self, symbol: str, pointers: Sequence[int], begin: int, end: int) -> int:
        """Run the tasks [begin, end) of a kernel; its status."""
        arguments = [ctypes.c_void_p(pointer) for pointer in pointers]
        function = getattr(self._library, symbol)
        return int(function(*arguments, ctypes.c_int32(begin), ctypes.c_int32(end)))


def load_objects(objects: Mapping[str, bytes]) -> LoadedObjects:
    """Link objects for this machine and load them."""
    folder = Path(tempfile.mkdtemp())
    for name, code in objects.items():
        Path(folder, name).write_bytes(code)
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-shared",
        "-o",
        "kernels.so",
        *objects,
        "-lm",
    ]
    subprocess.run(command, cwd=folder, check=True)
    undefined = frozenset(name for code in objects.values() for name in undefined_symbols(code))
    return LoadedObjects(ctypes.CDLL(str(folder / "kernels.so")), undefined)


def undefined_symbols(code: bytes) -> set[str]:
    """Names that an ELF object asks others for."""
    table = ELFFile(io.BytesIO(code)).get_section_by_name(".symtab")
    return {s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}
