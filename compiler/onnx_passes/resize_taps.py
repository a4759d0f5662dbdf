"""Which elements an element of a resized axis is made of, and how much of each.

Formulas: ONNX's Operators.md, Resize (opset 19).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ResizedAxis", "Taps"]


@dataclass(frozen=True)
class Taps:
    """Elements and weights of each output of an axis.

    Attributes:
        places: int64[outputs, taps], inside the input.
        weights: float64[outputs, taps]; they add up to 1.
        outside: bool[outputs]; these take the extrapolation value instead.
    """

    places: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    outside: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ResizedAxis:
    """One axis that is resized.

    Attributes:
        inputs, outputs: extents.
        scale: what the model gives, or ``outputs / inputs``.
        start, end: region of interest, as shares of the input (``tf_crop_and_resize``).
        mode: ``nearest``, ``linear`` or ``cubic``.
        coordinates: ``coordinate_transformation_mode``.
        nearest: ``nearest_mode``.
        cubic_a: ``cubic_coeff_a``.
        exclude_outside: weights beyond the edges are 0, else the edge's elements stand there.
        antialias: the filter widens with the input where the axis shrinks.
    """

    inputs: int
    outputs: int
    scale: float
    start: float = 0.0
    end: float = 1.0
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False

    def taps(self) -> Taps:
        """Elements and weights of every output."""
        rows = [self._row(self._coordinate(x)) for x in range(self.outputs)]
        outside = [False] * self.outputs
        if self.coordinates == "tf_crop_and_resize":
            coordinates = [self._coordinate(x) for x in range(self.outputs)]
            outside = [not 0 <= x <= self.inputs - 1 for x in coordinates]
        places = np.array([row[0] for row in rows], np.int64)
        weights = np.array([row[1] for row in rows], np.float64)
        return Taps(places, weights, np.array(outside))

    def _coordinate(self, x: int) -> float:
        """Where output ``x`` lies in the input."""
        last, mode = self.inputs - 1, self.coordinates
        if mode == "align_corners":
            return x * last / (self.outputs - 1) if self.outputs > 1 else 0.0
        if mode == "asymmetric":
            return x / self.scale
        if mode == "tf_crop_and_resize":
            if self.outputs == 1:
                return (self.start + self.end) * last / 2
            return self.start * last + x * (self.end - self.start) * last / (self.outputs - 1)
        if mode == "pytorch_half_pixel" and self.outputs == 1:
            return 0.0
        half = (x + 0.5) / self.scale - 0.5
        if mode == "half_pixel_symmetric":
            # The output's middle lies on the input's, whatever was rounded away.
            half += self.inputs / 2 * (1 - self.outputs / (self.scale * self.inputs))
        return half

    def _row(self, x: float) -> tuple[list[int], list[float]]:
        left = math.ceil(x) - 1
        share = x - left  # above 0, at most 1
        first, weights = self._filter(share)
        places = [left + first + index for index in range(len(weights))]
        if self.exclude_outside:
            inside = [0 <= place < self.inputs for place in places]
            weights = [w if is_in else 0.0 for w, is_in in zip(weights, inside, strict=True)]
        total = sum(weights)
        clamped = [min(max(place, 0), self.inputs - 1) for place in places]
        return clamped, [weight / total for weight in weights]

    def _filter(self, share: float) -> tuple[int, list[float]]:
        """The filter's first place from the element on the left, and its weights."""
        if self.mode == "nearest":
            right = {
                "round_prefer_floor": share > 0.5,
                "round_prefer_ceil": share >= 0.5,
                "floor": share == 1.0,
                "ceil": True,
            }[self.nearest]
            return int(right), [1.0]
        shrink = min(self.scale, 1.0) if self.antialias else 1.0
        reach = 1 if self.mode == "linear" else 2
        first = math.floor(-reach / shrink) + 1
        kernel = self._linear if self.mode == "linear" else self._cubic
        return first, [kernel((i - share) * shrink) for i in range(first, 2 - first)]

    @staticmethod
    def _linear(distance: float) -> float:
        return max(0.0, 1.0 - abs(distance))

    def _cubic(self, distance: float) -> float:
        """Keys, 1981, Cubic Convolution Interpolation for Digital Image Processing."""
        a, d = self.cubic_a, abs(distance)
        if d <= 1:
            return ((a + 2) * d - (a + 3)) * d * d + 1
        if d < 2:
            return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return 0.0
