"""Reads the arguments that are more than a word or a number."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.spec.errors import UsageError

__all__ = ["parse_input_shapes", "parse_numbers", "parse_threads"]


def parse_input_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """``["x:1x3x224x224"]`` as ``{"x": (1, 3, 224, 224)}``.

    A name may hold colons: the last one ends it.

    Raises:
        UsageError: another form, an extent below 1, or a name given twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, colon, extents = text.rpartition(":")
        parts = extents.split("x")
        if not colon or not name or not all(part.isascii() and part.isdigit() for part in parts):
            raise UsageError(
                f"the input shape '{text}' cannot be read",
                rule="It is the input's name, a colon and the extents.",
                remedy="Write it as x:1x3x224x224.",
            )
        if any(int(part) < 1 for part in parts):
            raise UsageError(
                f"the input shape '{text}' has an extent of zero",
                rule="Every extent is at least 1.",
            )
        if name in shapes:
            raise UsageError(f"the shape of the input '{name}' is given twice")
        shapes[name] = tuple(int(part) for part in parts)
    return shapes


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """``"0.5,0.25"`` as ``(0.5, 0.25)``.

    Raises:
        UsageError: another form.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"'{text}' of {option} cannot be read",
            rule="It is a number, or several with commas.",
            remedy="Write it as 0.5, or as 0.485,0.456,0.406.",
        ) from error


def parse_threads(text: str) -> tuple[int, ...]:
    """``"1,2,4"`` as ``(1, 2, 4)``.

    Raises:
        UsageError: another form, a number out of range or given twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 64 for part in parts):
        raise UsageError(
            f"the number of threads '{text}' cannot be read",
            rule="It is a number from 1 to 64, or several with commas.",
            remedy="Write it as 4, or as 1,2,4.",
        )
    threads = tuple(int(part) for part in parts)
    if len(set(threads)) != len(threads):
        raise UsageError(f"the number of threads '{text}' holds a number twice")
    return threads
