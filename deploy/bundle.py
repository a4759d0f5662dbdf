"""The deployable directory: written whole or not at all, read only if it is as it was written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.compiler.verify.golden import Golden
from edgewright.compiler.verify.runner import Array
from edgewright.deploy.manifest import MANIFEST_NAME, Manifest, parse_manifest
from edgewright.spec.errors import BundleError
from edgewright.spec.tensor import TensorSpec

__all__ = [
    "BundleFolder",
    "files_of",
    "golden_path",
    "hash_file",
    "is_bundle",
    "read_bundle",
    "replaceable",
]

#: Made by Python when a board's program imports the bundle's module; never read by Edgewright.
_IGNORED_FOLDER = "__pycache__"


@dataclass(frozen=True)
class BundleFolder:
    """A bundle on disk whose files are as they were written.

    Attributes:
        path: its folder.
        manifest: its index.
    """

    path: Path
    manifest: Manifest

    @property
    def library(self) -> Path:
        """The shared library."""
        return self.path / self.manifest.library.file

    @property
    def weights(self) -> Path | None:
        """The weights' file, or None if the library holds them."""
        return self.path / "weights.bin" if self.manifest.weights == "file" else None

    @property
    def selftest(self) -> Path:
        """The static program that runs the golden inputs, or given ones."""
        return self.path / "bin" / "selftest"

    def golden(self) -> Golden:
        """The golden tensors."""
        entry, read = self.manifest.golden, self._read_golden
        return Golden(
            seed=entry.seed,
            reference=entry.reference,
            inputs=read("input", self.manifest.inputs),
            outputs=read("output", self.manifest.outputs),
        )

    def _read_golden(self, role: str, specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
        arrays = {}
        for index, spec in enumerate(specs):
            raw = (self.path / golden_path(role, index)).read_bytes()
            if len(raw) != spec.size_bytes:
                raise BundleError(
                    f"'{golden_path(role, index)}' holds {len(raw)} bytes, not {spec.size_bytes}",
                    remedy="Compile the model again.",
                )
            arrays[spec.name] = np.frombuffer(raw, dtype=np.dtype(spec.dtype)).reshape(spec.shape)
        return arrays


def golden_path(role: str, index: int) -> str:
    """Where a golden tensor is, from the bundle's root; ``role`` is ``input`` or ``output``."""
    return f"golden/{role}{index}.bin"


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle, sound or not: what ``--force`` may replace."""
    try:
        head = (folder / MANIFEST_NAME).read_bytes()
    except OSError:
        return False
    return b'"schema_version"' in head and b'"generator": "edgewright ' in head


def replaceable(force: bool) -> Callable[[Path], bool]:
    """What may be replaced at an output: a bundle, if it was asked for."""
    return lambda folder: force and is_bundle(folder)


def read_bundle(folder: Path) -> BundleFolder:
    """Open a bundle after comparing every file with the manifest's hash.

    Raises:
        BundleError: no bundle, another schema, or a file that was changed, is missing or was added.
    """
    try:
        text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(
            f"'{folder}' is no bundle: its {MANIFEST_NAME} cannot be read ({_reason(error)})",
            remedy="Name the folder that `edgewright compile` wrote.",
        ) from error
    manifest = parse_manifest(text)
    present = set(files_of(folder))
    for name in sorted(manifest.files):
        entry = manifest.files[name]
        if name not in present:
            raise _changed(folder, f"lacks the file '{name}'")
        path = folder / name
        if path.stat().st_size != entry.size_bytes or hash_file(path) != entry.sha256:
            raise _changed(folder, f"has a changed file, '{name}'")
    for name in sorted(present - set(manifest.files) - {MANIFEST_NAME}):
        raise _changed(folder, f"has a file that is not its own, '{name}'")
    return BundleFolder(folder, manifest)


def files_of(folder: Path) -> list[str]:
    """Every file below the folder, by its path with slashes; caches of Python's aside."""
    found = []
    for place, folders, files in os.walk(folder):
        files += [name for name in folders if (Path(place) / name).is_symlink()]
        folders[:] = [name for name in folders if name != _IGNORED_FOLDER]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in files]
    return found


def _changed(folder: Path, what: str) -> BundleError:
    return BundleError(
        f"the bundle '{folder}' {what}",
        rule="A bundle is used only as it was written.",
        remedy="Copy it again from where it was made, or compile the model again.",
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
