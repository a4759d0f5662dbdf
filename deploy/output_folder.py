"""A folder that appears whole or not at all.

It is filled beside its place under a hidden name and renamed there when it is complete. Whatever
stops the filling (an error, a full disk, Ctrl-C) takes the half-written folder away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewright.spec.errors import EnvironmentFailure, OutputError

__all__ = ["check_output", "disk_errors", "staged_folder"]

#: How long a program that was told to end may go on writing.
_STRAGGLER_SECONDS = 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_output(folder: Path, *, replaceable: Callable[[Path], bool]) -> None:
    """Refuse early what could not be written at the end.

    Args:
        folder: where the output shall be.
        replaceable: whether a folder that is not empty may be replaced.

    Raises:
        OutputError: it is no folder, is not empty, or cannot be written.
    """
    place = _absolute(folder)
    if os.path.lexists(place):
        if not place.is_dir():
            raise OutputError(
                f"the output '{folder}' exists and is no folder",
                rule="A bundle is a folder.",
                remedy="Name another place.",
            )
        if any(place.iterdir()) and not replaceable(place):
            raise OutputError(
                f"the output folder '{folder}' is not empty",
                rule="Nothing is overwritten unasked, and --force replaces bundles only.",
                remedy="Name another folder, empty this one, or replace a bundle with --force.",
            )
    above = place.parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(
            f"the output folder '{folder}' cannot be made",
            rule=f"'{above}' is {'not writable' if above.is_dir() else 'no folder'}.",
            remedy="Name a place that you may write to.",
        )


@contextlib.contextmanager
def staged_folder(folder: Path, *, replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """A new empty folder to fill, which becomes ``folder`` when the block ends without an error.

    Raises:
        OutputError: the place cannot be used (see :func:`check_output`).
        EnvironmentFailure: the disk is full or broken.
    """
    check_output(folder, replaceable=replaceable)
    place = _absolute(folder)
    made: list[Path] = []
    staging: Path | None = None
    try:
        with disk_errors(folder):
            _make_parents(place.parent, made)
            staging = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        yield staging
        with disk_errors(folder):
            staging.chmod(0o777 & ~_umask())
            _move_into_place(staging, place)
    except BaseException:
        if staging is not None:
            _remove(staging)
        for parent in reversed(made):
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the operating system's errors of writing into ours.

    Raises:
        OutputError: the place may not be written to.
        EnvironmentFailure: the disk is full or broken.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise EnvironmentFailure(
                f"the disk is full: '{folder}' could not be written ({reason})",
                remedy="Free some space, or name a folder on another disk.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT):
            raise OutputError(
                f"the output folder '{folder}' cannot be written ({reason})",
                remedy="Name a place that you may write to.",
            ) from error
        raise EnvironmentFailure(
            f"'{folder}' could not be written ({reason})", remedy="Look at the disk, and try again."
        ) from error


def _absolute(folder: Path) -> Path:
    """The folder's real place: renaming onto a symbolic link would replace the link itself."""
    return Path(os.path.realpath(folder))


def _make_parents(folder: Path, made: list[Path]) -> None:
    """Make the folder and what is missing above it; ``made`` learns of each at once."""
    if not folder.exists():
        _make_parents(folder.parent, made)
        folder.mkdir()
        made.append(folder)


def _move_into_place(staging: Path, place: Path) -> None:
    """Rename; what stood there moves aside first, and back if the rename fails."""
    if not place.exists():
        staging.rename(place)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        place.rename(aside / "replaced")
        try:
            staging.rename(place)
        except BaseException:
            (aside / "replaced").rename(place)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove a folder, though a compiler that was interrupted may still be writing into it."""
    end = time.monotonic() + _STRAGGLER_SECONDS
    while folder.exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.02)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
