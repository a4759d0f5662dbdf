"""Arrays in ``.npz`` files, as the verb ``run`` takes and gives them."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgewright.compiler.verify.runner import Array
from edgewright.deploy.output_folder import disk_errors
from edgewright.spec.errors import TensorError

__all__ = ["read_npz", "write_npz"]


def read_npz(path: Path) -> dict[str, Array]:
    """Every array of an ``.npz`` file. Pickled objects are refused.

    Raises:
        TensorError: the file cannot be read, or is no ``.npz`` file of arrays.
    """
    try:
        path.open("rb").close()  # an absent or unreadable file has an error of its own
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive of arrays")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise TensorError(
            f"'{path}' cannot be read as an .npz file ({reason})",
            remedy="Write it with numpy.savez(path, name=array), one array for each input.",
        ) from error


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an ``.npz`` file, whole or not at all; an existing one is replaced.

    Raises:
        OutputError: the place cannot be written to.
        EnvironmentFailure: the disk is full.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            # Not numpy.savez: it takes names as keywords, and an output may be named "file".
            with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
                for array_name, array in arrays.items():
                    with archive.open(f"{array_name}.npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, array, allow_pickle=False)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
