"""The JSON schema of a dataclass, for readers of our JSON in other languages.

The counterpart of :mod:`edgewright.spec.decode`: a field is a key, a tuple a list, None is null.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

__all__ = ["json_schema"]

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema(kind: Any) -> dict[str, Any]:
    """A schema (draft 2020-12) that what ``dataclasses.asdict`` gives of ``kind`` satisfies.

    Args:
        kind: a dataclass of plain types, tuples of one type, mappings from text, such dataclasses,
            or one of these or None.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(kind)}


def _schema(kind: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        return {
            "title": getattr(kind, "__name__", ""),
            "type": "object",
            "properties": {name: _schema(hints[name]) for name in names},
            "required": names,
        }
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in arguments:
        inner = next(argument for argument in arguments if argument is not type(None))
        return {"anyOf": [_schema(inner), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    return {"type": _PLAIN[kind]}
