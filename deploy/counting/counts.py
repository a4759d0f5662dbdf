"""Numbers of executed instructions by class, and the file that the plugin writes them to.

The classes are those of ``classes.h``. A load or store is SIMD if its registers are those of the
SIMD and floating-point file, of whatever width; one instruction may load several registers. Scalar
multiply-accumulates of VFP, all that armv6 has, are a class of their own.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

__all__ = ["CLASSES", "Counts", "Mark", "parse_marks"]

#: Every instruction belongs to one of these classes.
CLASSES = (
    "simd_mac",
    "simd_load",
    "simd_store",
    "simd_other",
    "float_mac",
    "float_other",
    "scalar_load",
    "scalar_store",
    "scalar_other",
    "branch",
    "prefetch",
    "unknown",
)


@dataclass(frozen=True)
class Counts:
    """Executed instructions by class, and what they moved and multiplied.

    Attributes:
        simd_mac: multiply-accumulates of vectors: float, integer, dot product.
        simd_load: loads to SIMD and floating-point registers.
        simd_store: stores of such registers.
        simd_other: other instructions on vectors.
        float_mac: multiply-accumulates of scalars.
        float_other: other scalar floating-point instructions.
        scalar_load: loads to core registers.
        scalar_store: stores of core registers.
        scalar_other: integer arithmetic, system instructions.
        branch: branches, calls and returns.
        prefetch: hints to load a cache line.
        unknown: what the counter does not know, such as SVE.
        mac_lanes: multiply-accumulates that the two classes of them did, one for each lane.
        bytes_loaded: bytes read from memory.
        bytes_stored: bytes written to memory.
    """

    simd_mac: int = 0
    simd_load: int = 0
    simd_store: int = 0
    simd_other: int = 0
    float_mac: int = 0
    float_other: int = 0
    scalar_load: int = 0
    scalar_store: int = 0
    scalar_other: int = 0
    branch: int = 0
    prefetch: int = 0
    unknown: int = 0
    mac_lanes: int = 0
    bytes_loaded: int = 0
    bytes_stored: int = 0

    @property
    def total(self) -> int:
        """All instructions."""
        return sum(getattr(self, name) for name in CLASSES)

    @property
    def macs(self) -> int:
        """Multiply-accumulate instructions, of vectors and of scalars."""
        return self.simd_mac + self.float_mac

    @property
    def per_mac(self) -> float | None:
        """Instructions for each multiply-accumulate instruction; None if there are none."""
        return self.total / self.macs if self.macs else None

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(self._values(), other._values(), strict=True)))

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self._values(), other._values(), strict=True)))

    def per(self, times: int) -> Counts:
        """The mean of ``times`` equal parts, rounded."""
        return Counts(*(round(value / times) for value in self._values()))

    def to_dict(self) -> dict[str, int]:
        """By name, with the total."""
        return {**dataclasses.asdict(self), "total": self.total}

    def _values(self) -> tuple[int, ...]:
        return dataclasses.astuple(self)


_NAMES = tuple(field.name for field in dataclasses.fields(Counts))


@dataclass(frozen=True)
class Mark:
    """A point that the program passed.

    Attributes:
        point: the program's own number for it.
        counts: what it had executed by then.
    """

    point: int
    counts: Counts


def parse_marks(text: str) -> tuple[Mark, ...]:
    """Read the plugin's file.

    Raises:
        ValueError: it is not such a file, or was not finished.
    """
    first, *lines = text.splitlines() or [""]
    if tuple(first.split()) != ("point", *_NAMES):
        raise ValueError("it does not begin with the classes' names")
    if lines[-1:] != ["end"]:
        raise ValueError("it has no end")
    marks = []
    for line in lines[:-1]:
        point, *values = map(int, line.split())
        if len(values) != len(_NAMES):
            raise ValueError(f"a line has {len(values)} counts, not {len(_NAMES)}")
        marks.append(Mark(point, Counts(*values)))
    return tuple(marks)
