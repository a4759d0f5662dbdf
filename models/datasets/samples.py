"""Labelled images, however they are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.spec.errors import DatasetError

__all__ = ["Images", "Indices", "Labels", "Samples", "check_labels", "of_array", "unreadable"]

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Samples:
    """Labelled images of one size.

    Attributes:
        origin: the file or folder that they are from.
        shape: channels, height and width of each.
        labels: int64[N], the class of each, from 0.
        read: gives the images of some indices, uint8[n, channels, height, width].
        classes: names of the classes; empty where the files have none.
    """

    origin: Path
    shape: tuple[int, int, int]
    labels: Labels
    read: Callable[[Indices], Images]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def spread(self, count: int) -> Samples:
        """At most that many of them, evenly spread, so that sorted classes all occur."""
        if count >= len(self):
            return self
        chosen = np.arange(count, dtype=np.intp) * len(self) // count
        return replace(
            self, labels=self.labels[chosen], read=lambda indices: self.read(chosen[indices])
        )


def of_array(origin: Path, images: Images, labels: Labels, classes: tuple[str, ...]) -> Samples:
    """Samples that lie in memory, uint8[N, channels, height, width]."""
    _, channels, height, width = images.shape
    return Samples(
        origin, (channels, height, width), labels, lambda indices: images[indices], classes
    )


def check_labels(path: Path, labels: npt.NDArray[Any], below: int) -> Labels:
    """The labels as int64.

    Raises:
        DatasetError: one is outside of ``[0, below)``.
    """
    wide = labels.astype(np.int64)
    wrong = np.flatnonzero((wide < 0) | (wide >= below))
    if wrong.size:
        raise DatasetError(
            f"'{path}' gives sample {int(wrong[0])} the class {int(wide[wrong[0]])}",
            rule=f"Classes of this format go from 0 to {below - 1}.",
            remedy="The file is damaged, or of another format: download it again, or name the "
            "format with --format.",
        )
    return wide


def unreadable(path: Path, reason: str, remedy: str = "") -> DatasetError:
    """The error for a file that is not what its format says."""
    return DatasetError(
        f"'{path}' cannot be read as a data set: {reason}",
        remedy=remedy or "Download the file again, or name its format with --format.",
    )
