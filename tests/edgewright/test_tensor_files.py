from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewright.spec.errors import OutputError, TensorError
from edgewright.tensor_files import read_npz, write_npz


def test_arrays_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "file": np.array(3)}
    write_npz(path, {"x": arrays["x"]})
    write_npz(path, arrays)
    back = read_npz(path)
    assert list(back) == ["x", "file"]
    np.testing.assert_array_equal(back["x"], arrays["x"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    text, single, objects = tmp_path / "t.npz", tmp_path / "s.npy", tmp_path / "o.npz"
    text.write_text("not a zip")
    np.save(single, np.zeros(3))
    np.savez(objects, x=np.array([{}], dtype=object))
    whole = tmp_path / "whole.npz"
    np.savez(whole, x=np.zeros(1000))
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(whole.read_bytes()[:500])
    for path in (text, single, objects, truncated, tmp_path / "absent.npz", tmp_path):
        with pytest.raises(TensorError, match="cannot be read as an .npz file") as caught:
            read_npz(path)
        assert str(path) in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_npz(tmp_path / "absent" / "a.npz", {"x": np.zeros(1)})
    assert list(tmp_path.iterdir()) == []
