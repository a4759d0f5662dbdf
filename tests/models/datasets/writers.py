"""Writes small files in the true formats, from their published layouts."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["make_images", "write_cifar10", "write_idx", "write_mnist"]

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def make_images(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, array: npt.NDArray[Any]) -> Path:
    """Compressed where the name says so."""
    content = struct.pack(">BBBB", 0, 0, CODES[array.dtype.name], array.ndim)
    content += struct.pack(f">{array.ndim}I", *array.shape)
    content += array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_mnist(
    folder: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any],
    split: str = "t10k",
    suffix: str = "",
) -> Path:
    """The file of images, uint8[N, height, width]; that of labels is beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", labels.astype(np.uint8))
    return write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)


def write_cifar10(path: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[Any]) -> Path:
    """A batch, images uint8[N, 3, 32, 32]."""
    records = b"".join(
        bytes([int(label)]) + image.tobytes() for image, label in zip(images, labels, strict=True)
    )
    path.write_bytes(records)
    return path
