"""Finds out what a file or folder of samples is, and opens it."""

from __future__ import annotations

from pathlib import Path

from edgewright.models.datasets.cifar10 import RECORD_BYTES, find_cifar10_batches, load_cifar10
from edgewright.models.datasets.idx import find_idx_images, is_idx, load_idx
from edgewright.models.datasets.image_folder import find_images, load_image_folder
from edgewright.models.datasets.samples import Samples, unreadable
from edgewright.models.datasets.svhn import find_svhn_file, load_svhn
from edgewright.spec.errors import UsageError

__all__ = ["FORMATS", "find_format", "load_samples"]

#: Formats by name, with what a path of that format is.
FORMATS = {
    "mnist": "a folder with idx files, or the file of images, compressed or not",
    "cifar10": "a folder with the binary version's batches, or one batch",
    "svhn": "a folder with files of cropped digits, or one .mat file",
    "images": "a folder with one folder of images for each class",
}


def load_samples(path: Path, image_format: str, shape: tuple[int, int, int]) -> Samples:
    """The samples at a path; of a folder's splits the one that is held out, if it is there.

    Args:
        path: a file or folder.
        image_format: a key of :data:`FORMATS`, or empty to find out.
        shape: channels, height and width that images of a folder are given; the other formats
            have sizes of their own.

    Raises:
        UsageError: no such format.
        DatasetError: nothing is there, it is of no known format, or is damaged.
        ToolError: a package that reads it is not installed.
    """
    if image_format and image_format not in FORMATS:
        raise UsageError(
            f"unknown format of samples, '{image_format}'",
            rule=f"It is one of {', '.join(FORMATS)}.",
        )
    if not path.exists():
        raise unreadable(path, "nothing is there", f"Name {'; or '.join(FORMATS.values())}.")
    name = image_format or find_format(path)
    if name == "images":
        if not path.is_dir():
            raise unreadable(path, "it is a file", f"Name {FORMATS[name]}.")
        return load_image_folder(path, shape)
    if name == "cifar10":
        batches = find_cifar10_batches(path) if path.is_dir() else [path]
        return load_cifar10(batches or [_missing(path, name)])
    find, load = (find_idx_images, load_idx) if name == "mnist" else (find_svhn_file, load_svhn)
    file = find(path) if path.is_dir() else path
    return load(file or _missing(path, name))


def find_format(path: Path) -> str:
    """The name of the format that a file or folder has.

    Raises:
        DatasetError: it is none of them.
    """
    if path.is_dir():
        if find_idx_images(path):
            return "mnist"
        if find_cifar10_batches(path):
            return "cifar10"
        if find_svhn_file(path):
            return "svhn"
        if find_images(path):
            return "images"
    elif is_idx(path):
        return "mnist"
    elif path.suffix == ".mat":
        return "svhn"
    elif path.suffix == ".bin" and path.stat().st_size % RECORD_BYTES == 0:
        return "cifar10"
    known = "; ".join(f"{name}: {what}" for name, what in FORMATS.items())
    raise unreadable(path, "it is of no format that is known", f"Known are {known}.")


def _missing(path: Path, name: str) -> Path:
    raise unreadable(path, f"no file of the format '{name}' is in it", f"Name {FORMATS[name]}.")
