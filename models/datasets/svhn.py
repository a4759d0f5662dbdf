"""The cropped digits of SVHN, "format 2".

Source: Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", 2011;
layout from http://ufldl.stanford.edu/housenumbers: a MATLAB file with ``X``, uint8[32, 32, 3, N],
and ``y``, [N, 1], from 1 to 10, where 10 stands for the digit 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.models.datasets.samples import Samples, check_labels, of_array, unreadable
from edgewright.spec.errors import ToolError

__all__ = ["find_svhn_file", "load_svhn"]

_CLASSES = 10


def find_svhn_file(folder: Path) -> Path | None:
    """``test_32x32.mat`` if it is in the folder, else another split; None if none is."""
    found = sorted(folder.glob("*_32x32.mat"), key=lambda path: (path.stem[:4] != "test", path))
    return found[0] if found else None


def load_svhn(path: Path) -> Samples:
    """Samples of one file.

    Raises:
        DatasetError: it cannot be read, or is no file of cropped digits.
        ToolError: SciPy, which reads MATLAB's files, is not installed.
    """
    content = _content(path)
    pixels, numbers = content.get("X"), content.get("y")
    if pixels is None or numbers is None:
        raise unreadable(
            path,
            "it has no arrays X and y",
            "Name the file of cropped digits, test_32x32.mat.",
        )
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[2] != 3 or not pixels.size:
        found = f"{pixels.dtype.name}{list(pixels.shape)}"
        raise unreadable(path, f"its X is {found}, and images are uint8[height, width, 3, samples]")
    count = pixels.shape[3]
    if numbers.size != count or numbers.dtype.kind not in "iu":
        raise unreadable(path, f"its y has {numbers.size} labels for the {count} images of X")
    labels = check_labels(path, numbers.reshape(-1), _CLASSES + 1) % _CLASSES
    digits = tuple(str(digit) for digit in range(_CLASSES))
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return of_array(path, images, labels, digits)


def _content(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ToolError(
            f"SVHN's files are read by SciPy, which cannot be imported ({error})",
            remedy="Install it with `pip install edgewright[datasets]`.",
        ) from error
    try:
        path.open("rb").close()  # an absent or unreadable file has an error of its own
        content: dict[str, Any] = loadmat(path, appendmat=False, variable_names=["X", "y"])
    except NotImplementedError as error:
        raise unreadable(
            path,
            "it is of MATLAB's version 7.3, as the uncropped house numbers are",
            "Name the file of cropped digits, test_32x32.mat.",
        ) from error
    except Exception as error:  # SciPy's reader has no base class for what a damaged file causes
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise unreadable(path, " ".join(reason.split())[:200]) from error
    return {name: np.asarray(content[name]) for name in ("X", "y") if name in content}
