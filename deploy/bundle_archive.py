"""A bundle as bytes, to send it to another process: a tar file, the same for the same bundle."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from edgewright.deploy.bundle import BundleFolder, files_of
from edgewright.spec.errors import BundleError

__all__ = ["pack_bundle", "unpack_bundle"]

#: What a bundle's files may have of permissions: who may run them, never who may write them.
_PROGRAM, _PLAIN = 0o755, 0o644


def pack_bundle(bundle: BundleFolder) -> bytes:
    """Its files in the order of their names, without owners and times."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files_of(bundle.path)):
            source = bundle.path / name
            entry = tarfile.TarInfo(name)
            status = source.stat()
            entry.size = status.st_size
            entry.mode = _PROGRAM if status.st_mode & 0o100 else _PLAIN
            with source.open("rb") as content:
                archive.addfile(entry, content)
    return packed.getvalue()


def unpack_bundle(packed: bytes, folder: Path) -> None:
    """Write a bundle's files into an empty folder.

    Raises:
        BundleError: the bytes are damaged, or hold something else than plain files inside it.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            for entry in archive:
                _write(archive, entry, folder)
    except tarfile.TarError as error:
        raise BundleError(
            f"a bundle arrived damaged ({error})", remedy="Run the command again."
        ) from error


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    parts = Path(entry.name).parts
    content = archive.extractfile(entry) if entry.isreg() else None
    if content is None or Path(entry.name).is_absolute() or ".." in parts:
        raise BundleError(
            f"a bundle arrived with '{entry.name}', which is no file inside it",
            rule="A bundle holds plain files.",
            remedy="Look who else uses the cluster.",
        )
    place = folder / entry.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.read())
    place.chmod(_PROGRAM if entry.mode & 0o100 else _PLAIN)
