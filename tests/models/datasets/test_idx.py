from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from edgewright.models.datasets.idx import find_idx_images, is_idx, load_idx, read_idx, save_idx
from edgewright.spec.errors import DatasetError, OutputError, UsageError
from tests.models.datasets.writers import CODES, make_images, write_idx, write_mnist

LABELS = np.array([3, 1, 4, 1, 5])


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", CODES)
def test_every_element_type_is_read(dtype: str, suffix: str, tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    found = read_idx(write_idx(tmp_path / f"some{suffix}", array))
    assert found.dtype == array.dtype and found.dtype.isnative
    np.testing.assert_array_equal(found, array)
    assert is_idx(tmp_path / f"some{suffix}")


def test_bytes_as_published(tmp_path: Path) -> None:
    # The head of t10k-labels-idx1-ubyte: magic 0x00000801, a count, labels from 7, 2, 1.
    (tmp_path / "labels").write_bytes(bytes.fromhex("00000801 00000003 070201"))
    assert read_idx(tmp_path / "labels").tolist() == [7, 2, 1]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_and_labels(suffix: str, tmp_path: Path) -> None:
    images = make_images(5, 28, 28)
    path = write_mnist(tmp_path, images, LABELS, suffix=suffix)
    found = load_idx(path)
    assert found.shape == (1, 28, 28) and len(found) == 5
    assert found.labels.dtype == np.int64 and found.labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(found.read(np.array([4, 0]))[:, 0], images[[4, 0]])


def test_other_names_and_compressed_labels(tmp_path: Path) -> None:
    write_idx(tmp_path / "emnist.test-labels.idx1-ubyte.gz", LABELS.astype(np.uint8))
    path = write_idx(tmp_path / "emnist.test-images.idx3-ubyte", make_images(5, 4, 6))
    assert load_idx(path).labels.tolist() == LABELS.tolist()


def test_held_out_files_come_first(tmp_path: Path) -> None:
    assert find_idx_images(tmp_path) is None
    train = write_mnist(tmp_path, make_images(5, 2, 2), LABELS, "train")
    assert find_idx_images(tmp_path) == train
    held_out = write_mnist(tmp_path, make_images(5, 2, 2), LABELS, "t10k", ".gz")
    assert find_idx_images(tmp_path) == held_out


GOOD = bytes.fromhex("00000803 00000002 00000002 00000002") + bytes(8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it begins with nothing, unlike an idx file"),
        (b"\x89PNG\r\n", "it begins with 89 50 4e 47"),
        (b"\0\0\x07\x01", "it begins with 00 00 07 01"),
        (GOOD[:10], "it ends within its header"),
        (GOOD[:-1], "it holds 7 bytes, and its header promises 2x2x2, 8 bytes"),
        (GOOD + b"\0", "it holds more than 8 bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "it holds 0 bytes, and its header promises 4294967295x"),
        (gzip.compress(GOOD)[:-9], "ended before the end-of-stream marker"),
        (gzip.compress(GOOD)[:12] + b"\xff" * 20, ""),
    ],
    ids=["empty", "png", "type", "header", "short", "long", "huge", "gzip cut", "gzip damaged"],
)
def test_damaged_files_are_one_paragraph(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_idx(path)
    text = str(caught.value)
    assert f"'{path}' cannot be read as a data set: " in text and message in text
    assert "\n" not in text and "Download the file again" in text


def test_an_absent_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file or directory"):
        read_idx(tmp_path / "absent")


def test_labels_must_be_there_and_fit(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "t10k-images-idx3-ubyte", make_images(5, 2, 2))
    with pytest.raises(DatasetError, match="labels is not beside it. Put both into one folder"):
        load_idx(path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    write_idx(labels, np.zeros(4, np.uint8))
    with pytest.raises(DatasetError, match="it has 4 labels for the 5 images"):
        load_idx(path)
    write_idx(labels, np.zeros(5, np.float32))
    with pytest.raises(DatasetError, match="float32\\[5\\], and labels are integers"):
        load_idx(path)
    write_idx(labels, np.full(5, -1, np.int8))
    with pytest.raises(DatasetError, match="gives sample 0 the class -1"):
        load_idx(path)
    write_idx(path, make_images(5, 2))
    with pytest.raises(DatasetError, match="uint8\\[5, 2\\], and images are"):
        load_idx(path)


def test_what_is_saved_is_as_published_and_read_again(tmp_path: Path) -> None:
    images = make_images(5, 3, 4)
    save_idx(tmp_path / "new" / "folder", images, LABELS)
    write_mnist(tmp_path / "expected", images, LABELS)
    for path in (tmp_path / "expected").iterdir():
        assert (tmp_path / "new" / "folder" / path.name).read_bytes() == path.read_bytes()
    found = load_idx(tmp_path / "new" / "folder" / "t10k-images-idx3-ubyte")
    np.testing.assert_array_equal(found.read(np.arange(5))[:, 0], images)


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    images = make_images(5, 3, 4)
    with pytest.raises(UsageError, match="images uint8\\[5, 3, 4\\], labels \\[4\\]"):
        save_idx(tmp_path, images, LABELS[:4])
    with pytest.raises(UsageError, match="images float64"):
        save_idx(tmp_path, images.astype(float), LABELS)  # type: ignore[arg-type]
    for wrong in (-1, 256):
        with pytest.raises(UsageError, match=f"{wrong}.*They are bytes"):
            save_idx(tmp_path, images, np.array([1, 1, 1, 1, wrong]))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="samples cannot be written to"):
        save_idx(tmp_path / "file", images, LABELS)
