"""The name of a model: part of file names, C identifiers and kernel symbols."""

from __future__ import annotations

import re
from pathlib import Path

from edgewright.spec.errors import UsageError

__all__ = ["MAX_NAME_LENGTH", "model_name"]

#: Longer names make file names and symbols that some tools refuse.
MAX_NAME_LENGTH = 64

#: ``libNAME.so`` would hide a part of the C library.
_SYSTEM_LIBRARIES = frozenset({"c", "dl", "m", "pthread", "rt", "util"})
_C_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while main".split()
)


def model_name(given: str | None, file: Path) -> str:
    """The name given, or one made of the file's.

    Raises:
        UsageError: the name given is no C identifier.
    """
    if given is None:
        name = re.sub(r"\W+", "_", file.stem, flags=re.ASCII).strip("_")[:MAX_NAME_LENGTH]
        return name if _is_identifier(name) else f"model_{name}"[:MAX_NAME_LENGTH].rstrip("_")
    if not _is_identifier(given) or len(given) > MAX_NAME_LENGTH:
        raise UsageError(
            f"the name '{given}' cannot be used",
            rule="It becomes part of C identifiers: letters, digits and _, no digit first, at "
            f"most {MAX_NAME_LENGTH} of them, no keyword, no part of the C library (m, c, ...).",
            remedy="Choose one such as my_model.",
        )
    return given


def _is_identifier(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None and (
        name not in _C_KEYWORDS | _SYSTEM_LIBRARIES
    )
