"""The idx format of MNIST, and of the data sets made in its likeness.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998, "File formats
for the MNIST database". A file is two zero bytes, a byte for the element type, one for the number
of axes, the extents as big-endian 32-bit integers, and the elements, big-endian, row-major.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from edgewright.models.datasets.samples import (
    Images,
    Labels,
    Samples,
    check_labels,
    of_array,
    unreadable,
)
from edgewright.spec.errors import OutputError, UsageError

__all__ = ["find_idx_images", "is_idx", "load_idx", "read_idx", "save_idx"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
#: Bytes read at a time: what a damaged header promises is not allocated.
_CHUNK_BYTES = 1 << 20
#: Parts of the customary names, of images and of the labels that belong to them.
_NAMES = (("images-idx3-ubyte", "labels-idx1-ubyte"), ("images.idx3-ubyte", "labels.idx1-ubyte"))
#: Customary beginnings of names, what is held out first.
_SPLITS = ("t10k", "test", "")
#: EMNIST's largest split has 62 classes; labels are bytes.
_CLASSES = 256


def load_idx(path: Path) -> Samples:
    """Samples of a file of images, and of the file of labels beside it.

    Args:
        path: the file of images, such as ``t10k-images-idx3-ubyte.gz``.

    Raises:
        DatasetError: either is absent, damaged or not of the other's length.
    """
    images, labels_path = read_idx(path), _labels_of(path)
    labels = read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8 or images.size == 0:
        found = f"{images.dtype.name}{list(images.shape)}"
        raise unreadable(path, f"it holds {found}, and images are uint8[samples, height, width]")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        found = f"{labels.dtype.name}{list(labels.shape)}"
        raise unreadable(labels_path, f"it holds {found}, and labels are integers, one a sample")
    if len(labels) != len(images):
        raise unreadable(
            labels_path, f"it has {len(labels)} labels for the {len(images)} images of '{path}'"
        )
    return of_array(path, images[:, None], check_labels(labels_path, labels, _CLASSES), ())


def find_idx_images(folder: Path) -> Path | None:
    """The file of images in a folder, held-out ones before those to train on; None if none is."""
    for split in _SPLITS:
        for images, _ in _NAMES:
            for path in sorted(folder.glob(f"{split}*{images}*")):
                if path.is_file():
                    return path
    return None


def is_idx(path: Path) -> bool:
    """Whether a file begins as an idx file does, compressed or not."""
    try:
        with _open(path) as stream:
            magic = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _DTYPES and magic[3] > 0


def read_idx(path: Path) -> npt.NDArray[Any]:
    """The tensor of one file, which may be compressed with gzip.

    Returns:
        An array in this machine's byte order.

    Raises:
        DatasetError: it cannot be read, is no idx file, or is not as long as its header says.
    """
    try:
        with _open(path) as stream:
            return _read(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise unreadable(path, reason) from error


def save_idx(folder: Path, images: Images, labels: Labels) -> None:
    """Write labelled samples of one's own as MNIST's held-out files are named.

    Args:
        folder: made if it is missing; files of these names in it are replaced.
        images: uint8[N, height, width].
        labels: the class of each, from 0 to 255.

    Raises:
        UsageError: the arrays do not fit each other or the format.
        OutputError: the files cannot be written.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or labels.shape != images.shape[:1]:
        given = f"images {images.dtype.name}{list(images.shape)}, labels {list(labels.shape)}"
        raise UsageError(
            f"samples to save are {given}",
            rule="Images are uint8[samples, height, width], and each has one label.",
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < _CLASSES:
        raise UsageError(
            f"labels to save go from {labels.min()} to {labels.max()}", rule="They are bytes."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip(_NAMES[0], (images, labels.astype(np.uint8)), strict=True):
            header = struct.pack(f">4B{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape)
            (folder / f"{_SPLITS[0]}-{name}").write_bytes(header + array.tobytes())
    except OSError as error:
        raise OutputError(
            f"samples cannot be written to '{folder}' ({error.strerror or error})",
            remedy="Name a folder that you may write to and that has room.",
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The content of a file, decompressed where it is compressed, whatever its name says."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        if not compressed:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            yield stream


def _read(path: Path, stream: IO[bytes] | gzip.GzipFile) -> npt.NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise unreadable(path, f"it begins with {magic.hex(' ') or 'nothing'}, unlike an idx file")
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise unreadable(path, "it ends within its header")
    shape = struct.unpack(f">{magic[3]}I", header)
    dtype = np.dtype(_DTYPES[magic[2]])
    expected = math.prod(shape) * dtype.itemsize
    content = bytearray()
    while chunk := stream.read(min(_CHUNK_BYTES, expected + 1 - len(content))):
        content += chunk
    if len(content) != expected:
        found = f"more than {expected}" if len(content) > expected else str(len(content))
        extents = "x".join(map(str, shape))
        raise unreadable(
            path, f"it holds {found} bytes, and its header promises {extents}, {expected} bytes"
        )
    return np.frombuffer(bytes(content), dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _labels_of(path: Path) -> Path:
    """The file of labels beside a file of images, compressed or not."""
    for images, labels in _NAMES:
        stem, found, _ = path.name.partition(images)
        for name in (f"{stem}{labels}", f"{stem}{labels}.gz"):
            if found and (path.parent / name).is_file():
                return path.parent / name
    raise unreadable(
        path,
        "the file of its labels is not beside it",
        "Put both into one folder, by their own names: t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte, with or without .gz.",
    )
