"""The binary version of CIFAR-10.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; layout from
https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version": records of 3073 bytes, a label and
then the red, green and blue planes of 32x32 pixels, row-major.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgewright.models.datasets.samples import Samples, check_labels, of_array, unreadable

__all__ = ["RECORD_BYTES", "find_cifar10_batches", "load_cifar10"]

_SHAPE = (3, 32, 32)
#: Bytes of a sample: its label and its pixels.
RECORD_BYTES = 1 + 3 * 32 * 32
_CLASSES = 10


def find_cifar10_batches(folder: Path) -> list[Path]:
    """``test_batch.bin`` if it is in the folder, else the batches to train on."""
    held_out = sorted(folder.glob("test_batch.bin"))
    return held_out or sorted(folder.glob("data_batch_*.bin"))


def load_cifar10(paths: list[Path]) -> Samples:
    """Samples of one batch or several, one after another; names from ``batches.meta.txt``.

    Args:
        paths: files of one folder; one at least.

    Raises:
        DatasetError: one cannot be read, is damaged, or holds no whole number of records.
    """
    batches = []
    for path in paths:
        try:
            raw = np.fromfile(path, np.uint8)
        except OSError as error:
            raise unreadable(path, error.strerror or str(error)) from error
        if raw.size == 0 or raw.size % RECORD_BYTES:
            raise unreadable(
                path,
                f"it holds {raw.size} bytes, and CIFAR-10's binary version has {RECORD_BYTES} for "
                "each sample",
            )
        records = raw.reshape(-1, RECORD_BYTES)
        check_labels(path, records[:, 0], _CLASSES)
        batches.append(records)
    records = np.concatenate(batches)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, *_SHAPE)
    labels = records[:, 0].astype(np.int64)
    return of_array(paths[0], images, labels, _class_names(paths[0].parent))


def _class_names(folder: Path) -> tuple[str, ...]:
    try:
        names = (folder / "batches.meta.txt").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(names) if len(names) == _CLASSES else ()
