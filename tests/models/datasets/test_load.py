from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from edgewright.models.datasets.load import FORMATS, find_format, load_samples
from edgewright.spec.errors import DatasetError, UsageError
from tests.models.datasets.writers import make_images, write_cifar10, write_mnist

SHAPE = (3, 32, 32)
LABELS = np.array([1, 2])


@pytest.fixture
def places(tmp_path: Path) -> dict[str, tuple[Path, Path | None]]:
    """A folder of each format, and a file where one is enough."""
    for name in FORMATS:
        (tmp_path / name).mkdir()
    mnist = write_mnist(tmp_path / "mnist", make_images(2, 32, 32), LABELS, suffix=".gz")
    planes = make_images(2, 3, 32, 32)
    cifar10 = write_cifar10(tmp_path / "cifar10" / "test_batch.bin", planes, LABELS)
    svhn = tmp_path / "svhn" / "test_32x32.mat"
    savemat(svhn, {"X": make_images(32, 32, 3, 2), "y": LABELS.astype(np.uint8)[:, None]})
    for name in ("zero", "one", "two"):
        (tmp_path / "images" / name).mkdir()
    for name in ("two", "zero"):  # sorted: one, two, zero
        Image.fromarray(make_images(32, 32, 3)).save(tmp_path / "images" / name / "x.png")
    return {
        "mnist": (mnist.parent, mnist),
        "cifar10": (cifar10.parent, cifar10),
        "svhn": (svhn.parent, svhn),
        "images": (tmp_path / "images", None),
    }


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_found_out(name: str, places: dict[str, tuple[Path, Path | None]]) -> None:
    for place in places[name]:
        if place is not None:
            assert find_format(place) == name
            for given in ("", name):
                found = load_samples(place, given, SHAPE)
                assert found.labels.tolist() == [1, 2]
                assert found.read(np.array([0, 1])).shape[2:] == (32, 32)


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_of_another_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"of the format '{name}' is in it|holds an image"):
        load_samples(tmp_path, name, SHAPE)


def test_what_is_of_no_format_names_all_formats(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("text")
    (tmp_path / "x.bin").write_bytes(bytes(10))
    for path in (tmp_path, tmp_path / "x.txt", tmp_path / "x.bin"):
        with pytest.raises(DatasetError, match="of no format that is known") as caught:
            load_samples(path, "", SHAPE)
        assert all(f"{name}: " in str(caught.value) for name in FORMATS)
    with pytest.raises(DatasetError, match="nothing is there"):
        load_samples(tmp_path / "absent", "", SHAPE)
    with pytest.raises(DatasetError, match="it is a file"):
        load_samples(tmp_path / "x.txt", "images", SHAPE)
    with pytest.raises(UsageError, match="unknown format of samples, 'coco'. It is one of mnist"):
        load_samples(tmp_path, "coco", SHAPE)


def test_samples_are_spread_evenly(tmp_path: Path) -> None:
    images, labels = make_images(10, 4, 4), np.arange(10)
    found = load_samples(write_mnist(tmp_path, images, labels), "", SHAPE)
    few = found.spread(4)
    assert few.labels.tolist() == [0, 2, 5, 7] and len(few) == 4
    np.testing.assert_array_equal(few.read(np.array([3, 1]))[:, 0], images[[7, 2]])
    assert found.spread(10) is found and found.spread(99) is found
    assert few.spread(2).labels.tolist() == [0, 5]
    np.testing.assert_array_equal(few.spread(2).read(np.array([1]))[:, 0], images[[5]])
