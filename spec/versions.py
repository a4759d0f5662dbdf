"""Versions of C libraries, in order."""

from __future__ import annotations

__all__ = ["version_key"]


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions by number; a private symbol version (``PRIVATE``) is above all."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(p.isdigit() for p in parts) else (1 << 30,)
