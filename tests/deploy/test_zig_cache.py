"""A sealed cache is accepted by another installation of the same zig, and by no other."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import struct
from pathlib import Path

import pytest

from edgewright.deploy import zig_cache
from edgewright.deploy.zig_cache import SEAL, adopt, seal

#: What a library is made from: `seal` knows one by its many sources.
SOURCES = [f"libc/musl/src/{number}.c" for number in range(12)]


def entry(path: str, source: Path, prefix: int) -> bytes:
    """An entry of a manifest as zig 0.17 writes it."""
    status = source.stat()
    numbers = struct.pack("<QQq", status.st_size, status.st_ino, status.st_mtime_ns)
    return numbers + bytes(16) + bytes([prefix << 2]) + path.encode() + b"\0"


def statuses(manifest: Path) -> list[tuple[int, int, int]]:
    content, found, offset = manifest.read_bytes(), [], 0
    while offset + 1 < len(content):
        found.append(struct.unpack_from("<QQq", content, offset))
        offset = content.index(0, offset + 41) + 1
    return found


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    """An installation of zig, of which a cache was made."""
    folder = tmp_path / "lib"
    for name in ("std/std.zig", *SOURCES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"// {name}\n")
    return folder


@pytest.fixture
def made(tmp_path: Path, lib: Path) -> Path:
    """A cache with a library, one of its objects, and a library of the compiler's runtime."""
    folder = tmp_path / "cache"
    for name in ("h", "b/one", "o/library", "o/object", "o/start"):
        (folder / name).mkdir(parents=True)
    builtin = folder / "b" / "one" / "builtin.zig"
    builtin.write_text("// made\n")
    (folder / "h" / "library").write_bytes(
        b"".join(entry(name, lib / name, 1) for name in SOURCES) + b"\0"
    )
    (folder / "h" / "object").write_bytes(entry(SOURCES[0], lib / SOURCES[0], 1) + b"\0")
    (folder / "h" / "runtime").write_bytes(
        entry("std/std.zig", lib / "std/std.zig", 1)
        + entry("b/one/builtin.zig", builtin, 3)
        + b"\0"
    )
    (folder / "h" / "timestamp").touch()
    (folder / "o" / "library" / "libc.a").write_text("library")
    (folder / "o" / "object" / "0.o").write_text("object")
    (folder / "o" / "start" / "crt1.o").write_text("start file")
    return folder


def another_installation(lib: Path) -> Path:
    """The same files, as another layer or machine has them."""
    copy = lib.with_name("another")
    shutil.copytree(lib, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    return copy


def test_a_seal_keeps_the_libraries_and_drops_their_objects(made: Path) -> None:
    assert seal(made) == 2
    assert {path.name for path in (made / "h").iterdir()} == {"library", "runtime", "timestamp"}
    assert {path.name for path in made.glob("o/*/*")} == {"libc.a", "crt1.o"}
    assert not (made / "o" / "object").exists()
    for path in (made, *made.rglob("*")):
        everyone = stat.S_IRWXO if path.is_dir() else stat.S_IROTH | stat.S_IWOTH
        assert path.stat().st_mode & everyone == everyone, path


def test_another_installation_adopts_a_sealed_cache_once(made: Path, lib: Path) -> None:
    seal(made)
    other = another_installation(lib)
    before = (made / "h" / "library").read_bytes()
    assert adopt(made, other)
    assert len((made / "h" / "library").read_bytes()) == len(before)
    expected = [(other / name).stat() for name in SOURCES]
    assert statuses(made / "h" / "library") == [
        (status.st_size, status.st_ino, status.st_mtime_ns) for status in expected
    ]
    builtin = (made / "b" / "one" / "builtin.zig").stat()
    assert statuses(made / "h" / "runtime")[1][1:] == (builtin.st_ino, builtin.st_mtime_ns)
    assert not adopt(made, other)
    assert adopt(made, lib), "a third installation adopts it again"


def test_a_cache_that_is_not_sealed_is_left_alone(made: Path, lib: Path) -> None:
    before = {path: path.read_bytes() for path in (made / "h").iterdir()}
    assert not adopt(made, another_installation(lib))
    assert {path: path.read_bytes() for path in (made / "h").iterdir()} == before


def test_another_version_of_zig_does_not_adopt_it(
    made: Path, lib: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(made)
    before = (made / "h" / "library").read_bytes()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    assert not adopt(made, another_installation(lib))
    assert (made / "h" / "library").read_bytes() == before


@pytest.mark.parametrize("change", ["size", "absent"])
def test_a_library_of_other_sources_is_not_adopted(made: Path, lib: Path, change: str) -> None:
    seal(made)
    other = another_installation(lib)
    before = (made / "h" / "library").read_bytes()
    if change == "size":
        (other / SOURCES[3]).write_text("other")
    else:
        (other / SOURCES[3]).unlink()
    adopt(made, other)
    assert (made / "h" / "library").read_bytes() == before
    assert statuses(made / "h" / "runtime")[0][2] == 10**9, "the others are"


@pytest.mark.parametrize("content", [b"", b"\0", b"short", bytes(200), b"\xff" * 90 + b"\0" * 2])
def test_what_another_zig_wrote_is_not_touched(made: Path, lib: Path, content: bytes) -> None:
    seal(made)
    (made / "h" / "strange").write_bytes(content)
    assert adopt(made, another_installation(lib))
    assert (made / "h" / "strange").read_bytes() == content


def test_a_cache_that_cannot_be_written_is_left_to_zig(
    made: Path, lib: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    seal(made)
    monkeypatch.setattr(zig_cache, "_refresh", refuse)
    assert not adopt(made, another_installation(lib))
    assert (made / SEAL).read_text() == importlib.metadata.version("ziglang") + "\n"
