"""Reads ``fleet.toml``: what is measured, how, and on which boards.

::

    models = ["lenet5.onnx"]           # compiled once for each distinct target
    bundles = ["ready/mobilenet-rpi4"] # or ready ones, for the boards of their target

    [compile]                          # as the options of `edgewright compile`
    conv_algorithm = "auto"
    input_shapes = { x = [1, 3, 224, 224] }

    [bench]                            # as the options of `edgewright bench`
    threads = [1, 4]

    [[boards]]
    name = "kitchen"
    address = "ssh://pi@kitchen.local"
    target = "rpi4"                    # left out: the board is asked what it is

Paths are relative to the file's folder.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.deploy.boards.registry import resolve
from edgewright.deploy.transport.ssh_address import parse_ssh_address
from edgewright.spec.decode import decode
from edgewright.spec.errors import EdgewrightError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["BenchOptions", "CompileOptions", "Fleet", "FleetBoard", "read_fleet"]

#: Boards' names are names of files, with the model's behind a stop.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MOST_THREADS = 64


@dataclass(frozen=True)
class CompileOptions:
    """Options of :func:`edgewright.compile`, by the same names."""

    input_shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    conv_algorithm: str = "auto"
    max_error: float | None = None
    max_workspace: int | None = None
    weights: str = "file"
    toolchain: str = "zig"


@dataclass(frozen=True)
class BenchOptions:
    """Options of :meth:`edgewright.Bundle.bench`, by the same names."""

    threads: tuple[int, ...] = (1,)
    repeats: int | None = None
    sweep: bool = False
    profile: bool = False


@dataclass(frozen=True)
class FleetBoard:
    """One board.

    Attributes:
        name: what results call it; unique in the fleet.
        address: ``host``, or ``ssh://[user@]host[:port]``.
        target: what is compiled for it: a board, a core, ``host`` or JSON; None to ask it.
    """

    name: str
    address: str
    target: str | None = None


@dataclass(frozen=True)
class Fleet:
    """What the file says.

    Attributes:
        boards: at least one.
        models: ONNX files.
        bundles: folders of ready bundles.
        compile: how models are compiled.
        bench: how bundles are measured.
    """

    boards: tuple[FleetBoard, ...]
    models: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    compile: CompileOptions = CompileOptions()
    bench: BenchOptions = BenchOptions()


def read_fleet(path: Path) -> Fleet:
    """Read a file; the paths in what is returned are whole.

    Raises:
        UsageError: it cannot be read, is no TOML, or a key is missing, unknown, of another type
            or has a value that it may not have.
    """

    def broken(what: str) -> UsageError:
        return UsageError(
            f"the fleet's file '{path}' {what}",
            rule="docs/fleet.md describes its keys.",
            remedy="Correct the file.",
        )

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise broken(f"cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise broken(f"is no TOML ({error})") from None
    fleet = decode(Fleet, _with_defaults(raw), broken)
    for wrong in (_wrong_boards(fleet), _wrong_bench(fleet.bench), _wrong_files(fleet, path)):
        if wrong:
            raise broken(wrong)
    return dataclasses.replace(
        fleet,
        models=tuple(str(path.parent / model) for model in fleet.models),
        bundles=tuple(str(path.parent / bundle) for bundle in fleet.bundles),
    )


def _with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """What is read, with every key that may be left out."""
    tables = {"compile": CompileOptions, "bench": BenchOptions}
    filled: dict[str, Any] = {"models": [], "bundles": [], **raw}
    for key, kind in tables.items():
        filled[key] = _filled(kind, raw.get(key, {}))
    if isinstance(raw.get("boards"), list):
        filled["boards"] = [_filled(FleetBoard, board) for board in raw["boards"]]
    return filled


def _filled(kind: Any, raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    defaults: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            value = field.default
            defaults[field.name] = list(value) if isinstance(value, tuple) else value
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = field.default_factory()
    return {**defaults, **raw}


def _wrong_boards(fleet: Fleet) -> str:
    """What is wrong with the boards, as a clause; empty for nothing."""
    if not fleet.boards:
        return "has no [[boards]]"
    names: set[str] = set()
    machines: dict[str, str] = {}
    for index, board in enumerate(fleet.boards):
        key = f"boards[{index}]"
        if not _NAME.fullmatch(board.name):
            return (
                f"has the name {board.name!r} at '{key}.name', and a board's name is made of "
                "letters, digits, _ and -"
            )
        if board.name in names:
            return f"has the name '{board.name}' at '{key}.name', which another board has already"
        names.add(board.name)
        try:
            machine = _machine(board.address)
            if board.target is not None:
                resolve(board.target)
        except EdgewrightError as error:
            return f"is wrong at '{key}', the board '{board.name}': {error.paragraph().rstrip('.')}"
        if machine in machines:
            return (
                f"has at '{key}.address' the address of '{machines[machine]}', and two "
                "measurements on one board would disturb each other"
            )
        machines[machine] = board.name
    return ""


def _machine(address: str) -> str:
    """The machine that an address names.

    Raises:
        UsageError: it is malformed, or has a path.
    """
    if address == "host":
        return address
    parsed = parse_ssh_address(address)
    if parsed.path:
        raise UsageError(
            f"the address '{address}' has a path",
            rule="A fleet's bundles are put into the user's cache on each board.",
            remedy="Leave the path out.",
        )
    return parsed.machine


def _wrong_bench(bench: BenchOptions) -> str:
    if not bench.threads or not all(1 <= count <= _MOST_THREADS for count in bench.threads):
        return f"has {list(bench.threads)} at 'bench.threads', not numbers from 1 to 64"
    if len(set(bench.threads)) != len(bench.threads):
        return "holds a number twice at 'bench.threads'"
    if bench.repeats is not None and bench.repeats < 1:
        return f"has {bench.repeats} at 'bench.repeats', and at least 1 is needed"
    return ""


def _wrong_files(fleet: Fleet, path: Path) -> str:
    if not fleet.models and not fleet.bundles:
        return "has neither 'models' nor 'bundles'"
    for key, names, what in (
        ("models", fleet.models, "file"),
        ("bundles", fleet.bundles, "folder"),
    ):
        for index, name in enumerate(names):
            place = path.parent / name
            if not (place.is_file() if what == "file" else place.is_dir()):
                return f"names '{name}' at '{key}[{index}]', where no {what} is"
            if name in names[:index]:
                return f"names '{name}' twice at '{key}'"
    return ""
