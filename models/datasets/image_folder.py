"""Images in one folder for each class, as ImageNet is kept.

Classes are the folders' names in sorted order, which are the labels that networks are trained with
where PyTorch's ``ImageFolder`` or Keras' ``image_dataset_from_directory`` read the same tree.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from edgewright.models.datasets.samples import Images, Indices, Samples, unreadable
from edgewright.spec.errors import ToolError

__all__ = ["find_images", "load_image_folder"]

_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
#: Pixels of 16 and 32 bits, which Pillow would cut off at 255 and not scale.
_WIDE_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def find_images(folder: Path) -> list[tuple[Path, int]]:
    """Every image below the folder's own folders, with its class; hidden files are left out."""
    classes = _class_folders(folder)
    found = []
    for label, name in enumerate(classes):
        for path in sorted((folder / name).rglob("*")):
            inside = path.relative_to(folder).parts
            if path.suffix.lower() in _SUFFIXES and not any(p.startswith(".") for p in inside):
                found.append((path, label))
    return found


def load_image_folder(folder: Path, shape: tuple[int, int, int]) -> Samples:
    """Samples that are decoded when they are asked for.

    An image is scaled, bilinearly, until it covers the wanted size, and its middle is cut out.

    Args:
        folder: holds one folder for each class.
        shape: 1 channel (grey) or 3 (red, green, blue), height and width that images are given.

    Raises:
        DatasetError: there is no image; reading one may raise it too.
        ToolError: Pillow, which reads images, is not installed.
    """
    try:
        import PIL.Image  # noqa: F401  # asked for before any work is done
    except ImportError as error:
        raise ToolError(
            f"images are read by Pillow, which cannot be imported ({error})",
            remedy="Install it with `pip install edgewright[datasets]`.",
        ) from error
    found = find_images(folder)
    if not found:
        raise unreadable(
            folder,
            "no folder in it holds an image",
            "Put the images of each class into a folder of its own, as png, jpeg, bmp, ppm, tiff "
            "or webp.",
        )
    paths = [path for path, _ in found]
    labels = np.array([label for _, label in found], np.int64)
    read = partial(_read_all, paths, shape)
    return Samples(folder, shape, labels, read, tuple(_class_folders(folder)))


def _class_folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _read_all(paths: list[Path], shape: tuple[int, int, int], indices: Indices) -> Images:
    return np.stack([_read_image(paths[index], shape) for index in indices])


def _read_image(path: Path, shape: tuple[int, int, int]) -> Images:
    """uint8[channels, height, width]."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    try:
        with Image.open(path) as image:
            if image.mode in _WIDE_MODES:
                raise unreadable(
                    path, f"its pixels are of the kind {image.mode}", "Save it with 8 bits a pixel."
                )
            plain = image.convert("L" if channels == 1 else "RGB")
            fitted = ImageOps.fit(plain, (width, height), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise unreadable(
            path, " ".join(str(error).split())[:200], "Remove the image, or save it again."
        ) from error
    pixels = np.asarray(fitted, np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
