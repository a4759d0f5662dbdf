"""Reads what ``json.loads`` gives as a dataclass: the dataclass is the schema.

A field is a key, a tuple is a list, a mapping is an object with keys of any name, and None is null.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["decode"]

_Kind = TypeVar("_Kind")


def decode(kind: type[_Kind], raw: Any, broken: Callable[[str], Exception]) -> _Kind:
    """``raw`` as a value of the dataclass ``kind``.

    Args:
        kind: fields are plain types, tuples of one type, mappings from text, such dataclasses, or
            one of these or None.
        raw: objects, lists and plain values.
        broken: makes the error of a clause such as ``lacks 'target.isa'``.

    Raises:
        Exception: what ``broken`` made, for a key that is missing, unknown or of another type.
    """
    value: _Kind = _decode(kind, raw, "", broken)
    return value


def _decode(kind: Any, raw: Any, where: str, broken: Callable[[str], Exception]) -> Any:
    """``raw`` as a value of ``kind``: a dataclass, a tuple, a mapping or a plain type."""
    if dataclasses.is_dataclass(kind):
        return _decode_object(kind, raw, where, broken)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in arguments:  # ``kind | None``
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if raw is None else _decode(inner, raw, where, broken)
    if origin is tuple:
        if not isinstance(raw, list):
            raise broken(f"holds no list at '{where}'")
        return tuple(
            _decode(arguments[0], item, f"{where}[{index}]", broken)
            for index, item in enumerate(raw)
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(raw, dict):
            raise broken(f"holds no object at '{where}'")
        return {
            key: _decode(arguments[1], item, f"{where}.{key}", broken) for key, item in raw.items()
        }
    if kind is float and type(raw) is int:
        return float(raw)
    if type(raw) is not kind:
        raise broken(f"holds no {kind.__name__} at '{where}'")
    return raw


def _decode_object(kind: Any, raw: Any, where: str, broken: Callable[[str], Exception]) -> Any:
    if not isinstance(raw, dict):
        raise broken(f"holds no object at '{where}'")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    inside = f"{where}." if where else ""
    for name in sorted(set(names) ^ set(raw)):
        raise broken(f"{'lacks' if name in names else 'has the unknown key'} '{inside}{name}'")
    return kind(**{name: _decode(hints[name], raw[name], inside + name, broken) for name in names})
