from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewright.models.datasets.cifar10 import find_cifar10_batches, load_cifar10
from edgewright.spec.errors import DatasetError
from tests.models.datasets.writers import make_images, write_cifar10

NAMES = "airplane automobile bird cat deer dog frog horse ship truck"


def test_records_are_a_label_and_three_planes(tmp_path: Path) -> None:
    images, labels = make_images(4, 3, 32, 32), np.array([9, 0, 3, 7])
    path = write_cifar10(tmp_path / "test_batch.bin", images, labels)
    assert path.stat().st_size == 4 * 3073
    found = load_cifar10([path])
    assert found.shape == (3, 32, 32) and found.labels.tolist() == [9, 0, 3, 7]
    assert found.classes == ()
    np.testing.assert_array_equal(found.read(np.array([2, 3])), images[2:])
    (tmp_path / "batches.meta.txt").write_text(NAMES.replace(" ", "\n") + "\n\n")
    assert load_cifar10([path]).classes == tuple(NAMES.split())


def test_the_batch_that_is_held_out_comes_first(tmp_path: Path) -> None:
    images = make_images(3, 3, 32, 32)
    for number in (2, 1):
        write_cifar10(tmp_path / f"data_batch_{number}.bin", images, np.full(3, number))
    assert load_cifar10(find_cifar10_batches(tmp_path)).labels.tolist() == [1, 1, 1, 2, 2, 2]
    write_cifar10(tmp_path / "test_batch.bin", images, np.full(3, 5))
    assert load_cifar10(find_cifar10_batches(tmp_path)).labels.tolist() == [5, 5, 5]


def test_damaged_files_are_one_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "test_batch.bin"
    for content in (b"", bytes(3074), bytes(3072)):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=f"it holds {len(content)} bytes, and CIFAR-10"):
            load_cifar10([path])
    path.write_bytes(bytes(3073) + b"\x0b" + bytes(3072))
    with pytest.raises(DatasetError, match="gives sample 1 the class 11. Classes .* 0 to 9"):
        load_cifar10([path])
    with pytest.raises(DatasetError, match="No such file"):
        load_cifar10([tmp_path / "absent.bin"])
