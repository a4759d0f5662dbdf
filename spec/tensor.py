"""What a model takes and gives: names, shapes and element types."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ITEM_BYTES", "TensorSpec"]

#: Element types the compiled library takes and gives, with their size in bytes.
ITEM_BYTES = {
    "float32": 4,
    "float64": 8,
    "float16": 2,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "bool": 1,
}


@dataclass(frozen=True)
class TensorSpec:
    """One dense tensor in row-major order.

    Attributes:
        name: the tensor's name in the ONNX model.
        shape: extents, outermost first; empty for a scalar.
        dtype: a key of :data:`ITEM_BYTES`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def elems(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes the dense tensor takes."""
        return self.elems * ITEM_BYTES[self.dtype]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"
