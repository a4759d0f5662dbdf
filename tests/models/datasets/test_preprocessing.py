from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgewright.models.datasets.preprocessing import ImageInput, Preprocessing, batches
from edgewright.models.datasets.samples import Samples, of_array
from edgewright.spec.errors import DatasetError, UnsupportedModelError, UsageError
from edgewright.spec.tensor import TensorSpec
from tests.models.datasets.writers import make_images


def samples(count: int, channels: int = 3) -> Samples:
    return of_array(Path("x"), make_images(count, channels, 4, 5), np.arange(count), ())


def test_pixels_are_scaled_shifted_and_divided() -> None:
    images = np.array([0, 255, 51], np.uint8).reshape(1, 3, 1, 1)
    found = Preprocessing((0.5, 0.25, 0.0), (0.5, 0.5, 0.1)).apply(images)
    np.testing.assert_allclose(found.ravel(), [-1, 1.5, 2], rtol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(Preprocessing().apply(images).ravel(), [0, 1, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "images", "last"),
    [
        ((2, 3, 4, 5), (3, 4, 5), False),
        ((2, 4, 5, 3), (3, 4, 5), True),
        ((1, 1, 8, 8), (1, 8, 8), False),
    ],
)
def test_the_channel_axis_is_found(
    shape: tuple[int, ...], images: tuple[int, ...], last: bool
) -> None:
    found = ImageInput.of((TensorSpec("x", shape),))
    assert found.shape == images and found.channels_last is last


@pytest.mark.parametrize(
    "inputs",
    [
        (TensorSpec("x", (1, 4, 8, 8)),),
        (TensorSpec("x", (1, 64)),),
        (TensorSpec("x", (1, 3, 8, 8), "int64"),),
        (TensorSpec("x", (1, 3, 8, 8)), TensorSpec("z", (1,))),
    ],
    ids=["channels", "rank", "dtype", "two"],
)
def test_other_inputs_are_refused(inputs: tuple[TensorSpec, ...]) -> None:
    with pytest.raises(UnsupportedModelError, match="images cannot be put into that"):
        ImageInput.of(inputs)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("last", [False, True], ids=["NCHW", "NHWC"])
def test_the_last_batch_is_filled_up(dtype: str, last: bool) -> None:
    shape = (2, 4, 5, 3) if last else (2, 3, 4, 5)
    image_input = ImageInput.of((TensorSpec("x", shape, dtype),))
    given = samples(3)
    found = list(batches(given, image_input, Preprocessing()))
    assert [labels.tolist() for _, labels in found] == [[0, 1], [2]]
    for values, _ in found:
        assert values.shape == shape and values.dtype == dtype and values.flags.c_contiguous
    pixels = given.read(np.array([0, 1, 2, 2]))
    expected = pixels.transpose(0, 2, 3, 1) if last else pixels
    rows = np.concatenate([values for values, _ in found])
    scale = 255 if dtype == "float32" else 1
    np.testing.assert_allclose(rows * scale, expected, rtol=1e-6, atol=1e-5)


def test_images_of_another_size_are_refused() -> None:
    image_input = ImageInput.of((TensorSpec("x", (1, 3, 8, 8)),))
    with pytest.raises(DatasetError, match="'x' are 3x4x5 .* takes 3x8x8; only images in folders"):
        list(batches(samples(2), image_input, Preprocessing()))


def test_numbers_must_make_sense() -> None:
    for mean in (math.nan, math.inf):
        with pytest.raises(UsageError, match="the mean of the pixels is"):
            Preprocessing(mean=(mean,))
    with pytest.raises(UsageError, match="the deviation of the pixels is 0.0"):
        Preprocessing(deviation=(1.0, 0.0))
    with pytest.raises(UsageError, match="2 numbers were given as mean, for 3 channels"):
        Preprocessing(mean=(0.1, 0.2)).apply(make_images(1, 3, 2, 2))
