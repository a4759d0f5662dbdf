from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgewright.models.datasets.image_folder import load_image_folder
from edgewright.spec.errors import DatasetError, ToolError
from tests.models.datasets.writers import make_images

SHAPE = (3, 6, 8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = make_images(3, 6, 8, 3)
    save(tmp_path / "dog" / "b.png", images[0])
    save(tmp_path / "dog" / "deep" / "a.PNG", images[1])
    save(tmp_path / "cat" / "one.bmp", images[2])
    (tmp_path / "empty").mkdir()
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    save(tmp_path / ".cache" / "hidden.png", images[0])
    save(tmp_path / "dog" / ".thumbs" / "hidden.png", images[0])
    save(tmp_path / "outside.png", images[0])
    return tmp_path


def test_classes_are_the_sorted_folders(folder: Path) -> None:
    found = load_image_folder(folder, SHAPE)
    assert found.classes == ("cat", "dog", "empty")
    assert found.labels.tolist() == [0, 1, 1]
    images = make_images(3, 6, 8, 3).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(found.read(np.array([0, 1, 2])), images[[2, 0, 1]])


def test_images_are_scaled_until_they_cover_and_cut_in_the_middle(tmp_path: Path) -> None:
    wide = np.zeros((4, 40, 3), np.uint8)
    wide[:, 16:24] = (10, 20, 30)
    save(tmp_path / "a" / "wide.png", wide)
    image = load_image_folder(tmp_path, (3, 2, 2)).read(np.array([0]))[0]
    assert image.shape == (3, 2, 2)
    assert image[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_8_bit_pixels_is_read(mode: str, channels: int, tmp_path: Path) -> None:
    suffix = "tiff" if mode == "CMYK" else "png"
    (tmp_path / "a").mkdir()
    Image.new("RGB", (8, 6), (255, 255, 255)).convert(mode).save(tmp_path / "a" / f"x.{suffix}")
    image = load_image_folder(tmp_path, (channels, 6, 8)).read(np.array([0]))[0]
    assert image.shape == (channels, 6, 8) and image.min() == 255


def test_grey_is_the_luma_of_colours(tmp_path: Path) -> None:
    save(tmp_path / "a" / "x.png", np.full((6, 8, 3), (100, 150, 200), np.uint8))
    grey = load_image_folder(tmp_path, (1, 6, 8)).read(np.array([0]))
    # ITU-R 601: 0.299 R + 0.587 G + 0.114 B.
    assert np.all(grey == round(0.299 * 100 + 0.587 * 150 + 0.114 * 200))


def test_damaged_images_are_one_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.png"
    save(path, make_images(64, 64, 3))
    whole = path.read_bytes()
    for content in (b"", b"no image", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DatasetError) as caught:
            load_image_folder(tmp_path, SHAPE).read(np.array([0]))
        assert f"'{path}' cannot be read as a data set: " in str(caught.value)
        assert "Remove the image" in str(caught.value) and "\n" not in str(caught.value)


def test_wide_pixels_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a" / "x.png", np.full((6, 8), 1000, np.uint16))
    with pytest.raises(DatasetError, match="pixels are of the kind I.* Save it with 8 bits"):
        load_image_folder(tmp_path, SHAPE).read(np.array([0]))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DatasetError, match="no folder in it holds an image. Put the images"):
        load_image_folder(tmp_path, SHAPE)


def test_missing_pillow_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ToolError, match=r"pip install edgewright\[datasets\]"):
        load_image_folder(folder, SHAPE)
