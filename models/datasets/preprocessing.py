"""Makes of images what a model takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.models.datasets.samples import Images, Labels, Samples
from edgewright.spec.errors import DatasetError, UnsupportedModelError, UsageError
from edgewright.spec.tensor import TensorSpec

__all__ = ["ImageInput", "Preprocessing", "batches"]

#: Largest value of a pixel.
_WHITE = 255.0
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Preprocessing:
    """How a pixel becomes a number: ``(pixel / 255 - mean) / deviation``, channel by channel.

    Attributes:
        mean: one number for all channels, or one for each.
        deviation: likewise.

    Raises:
        UsageError: a number that is not finite, or a deviation that is not positive.
    """

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            for value in values:
                if not math.isfinite(value) or (name == "deviation" and value <= 0):
                    raise UsageError(
                        f"the {name} of the pixels is {value}",
                        rule="Means are finite, and deviations greater than zero.",
                        remedy="Give what the model was trained with, for pixels from 0 to 1.",
                    )

    def apply(self, images: Images) -> npt.NDArray[np.float32]:
        """float32 of the images' shape, uint8[n, channels, height, width].

        Raises:
            UsageError: there are neither one nor as many numbers as channels.
        """
        channels = images.shape[1]
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) not in (1, channels):
                raise UsageError(
                    f"{len(values)} numbers were given as {name}, for {channels} channels",
                    rule="There is one for all channels, or one for each.",
                )
        mean = np.array(self.mean, np.float32).reshape(1, -1, 1, 1)
        deviation = np.array(self.deviation, np.float32).reshape(1, -1, 1, 1)
        scaled = images.astype(np.float32) / np.float32(_WHITE)
        return np.asarray((scaled - mean) / deviation, np.float32)


@dataclass(frozen=True)
class ImageInput:
    """What a model takes, seen as a batch of images.

    Attributes:
        spec: the model's one input.
        shape: channels, height and width.
        channels_last: whether the model has ``NHWC``, not ``NCHW``.
    """

    spec: TensorSpec
    shape: tuple[int, int, int]
    channels_last: bool

    @staticmethod
    def of(inputs: tuple[TensorSpec, ...]) -> ImageInput:
        """The only input of a model, if it can hold images.

        Raises:
            UnsupportedModelError: it cannot.
        """
        wanted = "float32[batch, 1 or 3, height, width], or uint8, or with the channels last"
        spec = inputs[0]
        axes = spec.shape[1:]
        if len(inputs) == 1 and len(axes) == 3 and spec.dtype in ("float32", "uint8"):
            if axes[0] in _CHANNELS:
                return ImageInput(spec, (axes[0], axes[1], axes[2]), False)
            if axes[2] in _CHANNELS:
                return ImageInput(spec, (axes[2], axes[0], axes[1]), True)
        found = ", ".join(map(str, inputs))
        raise UnsupportedModelError(
            f"the model takes {found}, and images cannot be put into that",
            rule=f"Samples are images; they need one input of {wanted}.",
            remedy="Verify it with --model alone, or with arrays through Bundle.verify(inputs=…).",
        )

    def fill(self, images: Images, how: Preprocessing) -> npt.NDArray[Any]:
        """The input for at most a batch of images, uint8[n, channels, height, width].

        Where there are fewer than the batch holds, the last one is repeated.

        Raises:
            UsageError: the preprocessing does not fit the channels.
        """
        missing = self.spec.shape[0] - len(images)
        whole = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        values = how.apply(whole) if self.spec.dtype == "float32" else whole
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1) if self.channels_last else values)


def batches(
    samples: Samples, image_input: ImageInput, how: Preprocessing
) -> Iterator[tuple[npt.NDArray[Any], Labels]]:
    """Inputs with the labels of the samples in them; the last may have fewer labels than rows.

    Raises:
        DatasetError: the samples are not of the size that the model takes, or cannot be read.
        UsageError: the preprocessing does not fit the channels.
    """
    if samples.shape != image_input.shape:
        has, wants = ("x".join(map(str, shape)) for shape in (samples.shape, image_input.shape))
        raise DatasetError(
            f"the images of '{samples.origin}' are {has} (channels, height, width)",
            rule=f"The model takes {wants}; only images in folders are scaled.",
            remedy="Export the model for that size, or save the images into a folder a class.",
        )
    batch = image_input.spec.shape[0]
    for first in range(0, len(samples), batch):
        indices = np.arange(first, min(first + batch, len(samples)), dtype=np.intp)
        yield image_input.fill(samples.read(indices), how), samples.labels[indices]
