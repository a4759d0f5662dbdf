"""Tensors as the bundle's programs read and write them: one after another, without a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgewright.compiler.verify.runner import Array
from edgewright.spec.tensor import TensorSpec

__all__ = ["pack", "unpack"]


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Dense row-major little-endian tensors, in order."""
    return b"".join(array.tobytes() for array in arrays.values())


def unpack(raw: bytes, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """The tensors that lie in ``raw`` one after another."""
    arrays: dict[str, Array] = {}
    offset = 0
    for spec in specs:
        part = raw[offset : offset + spec.size_bytes]
        arrays[spec.name] = np.frombuffer(part, np.dtype(spec.dtype)).reshape(spec.shape)
        offset += spec.size_bytes
    return arrays
