from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from edgewright.models.datasets.svhn import find_svhn_file, load_svhn
from edgewright.spec.errors import DatasetError, ToolError
from tests.models.datasets.writers import make_images


def write(path: Path, **arrays: Any) -> Path:
    savemat(path, arrays, do_compression=True)
    return path


def test_samples_are_the_last_axis_and_ten_is_the_digit_zero(tmp_path: Path) -> None:
    pixels = make_images(32, 32, 3, 4)
    numbers = np.array([[10], [1], [9], [2]], np.uint8)
    found = load_svhn(write(tmp_path / "test_32x32.mat", X=pixels, y=numbers))
    assert found.shape == (3, 32, 32)
    assert found.labels.tolist() == [0, 1, 9, 2] and found.labels.dtype == np.int64
    assert found.classes == tuple("0123456789")
    image = found.read(np.array([2]))[0]
    np.testing.assert_array_equal(image[1], pixels[:, :, 1, 2])


def test_the_held_out_file_comes_first(tmp_path: Path) -> None:
    assert find_svhn_file(tmp_path) is None
    for name in ("extra", "train", "test"):
        (tmp_path / f"{name}_32x32.mat").touch()
    assert find_svhn_file(tmp_path) == tmp_path / "test_32x32.mat"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": make_images(32, 32, 3, 2)}, "it has no arrays X and y"),
        ({"X": make_images(32, 32, 2), "y": np.ones(2, np.uint8)}, "its X is uint8[32, 32, 2]"),
        ({"X": np.ones((4, 4, 3, 2)), "y": np.ones(2, np.uint8)}, "its X is float64"),
        ({"X": make_images(4, 4, 3, 2), "y": np.ones(3, np.uint8)}, "its y has 3 labels for the 2"),
        ({"X": make_images(4, 4, 3, 2), "y": np.array([1, 11])}, "gives sample 1 the class 11"),
    ],
    ids=["no labels", "no samples", "floats", "count", "class"],
)
def test_other_arrays_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load_svhn(write(tmp_path / "test_32x32.mat", **arrays))
    assert message in str(caught.value)


def test_damaged_files_are_one_paragraph(tmp_path: Path) -> None:
    path = write(tmp_path / "whole.mat", X=make_images(32, 32, 3, 2), y=np.ones(2, np.uint8))
    whole = path.read_bytes()
    version73 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(100)
    for content in (b"", b"no MATLAB file", whole[: len(whole) // 2], whole[:130], version73):
        path.write_bytes(content)
        with pytest.raises(DatasetError) as caught:
            load_svhn(path)
        assert "cannot be read as a data set: " in str(caught.value)
        assert "\n" not in str(caught.value)
    assert "version 7.3" in str(caught.value) and "test_32x32.mat" in str(caught.value)
    with pytest.raises(DatasetError, match="No such file"):
        load_svhn(tmp_path / "absent.mat")


def test_missing_scipy_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ToolError, match=r"pip install edgewright\[datasets\]"):
        load_svhn(tmp_path / "test_32x32.mat")
