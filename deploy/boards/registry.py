"""Boards by name, and what a ``--target`` stands for.

A board is one TOML file in this folder; its name is the file's. Neither TVM nor torch is imported.
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgewright.spec.errors import TargetError
from edgewright.spec.target import CORES, Target, parse_target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Board", "Caches", "Cluster", "OsImage", "list_boards", "load_board", "resolve"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Cluster:
    """Equal cores that share a clock.

    Attributes:
        core: a key of :data:`edgewright.spec.target.CORES`.
        count: number of cores.
        clock_mhz: highest clock that every board of the name reaches without overclocking.
    """

    core: str
    count: int
    clock_mhz: int


@dataclass(frozen=True)
class Caches:
    """Caches of the default cluster.

    Attributes:
        l1d_kib: level 1 data cache of one core.
        l2_kib: level 2 cache that one core can fill; 0 where there is none.
        l2_shared: whether the cluster's cores share it.
        l3_kib: level 3 cache; 0 where there is none.
    """

    l1d_kib: int
    l2_kib: int
    l2_shared: bool
    l3_kib: int


@dataclass(frozen=True)
class OsImage:
    """An operating system that the board usually runs.

    Attributes:
        name: distribution, release and width.
        glibc: version of its C library, ``2.31``.
    """

    name: str
    glibc: str


@dataclass(frozen=True)
class Board:
    """A physical device.

    Attributes:
        name: what the command line calls it.
        title: its maker's name for it.
        soc: system on chip.
        clusters: groups of equal cores.
        default_cluster: index of the cluster that code is generated for and runs on.
        default_threads: threads a bundle uses unless told otherwise.
        features: CPU features as ``/proc/cpuinfo`` names them.
        caches: caches of the default cluster.
        memory_mb: memory of the smallest model, in MiB.
        images: operating systems that it usually runs.
        glibc: oldest C library among the images: what a shared library is linked for.
        sources: where each fact was read, by the fact's name.
        target: what code is generated for: the default cluster's core with this board's caches.
    """

    name: str
    title: str
    soc: str
    clusters: tuple[Cluster, ...]
    default_cluster: int
    default_threads: int
    features: tuple[str, ...]
    caches: Caches
    memory_mb: int
    images: tuple[OsImage, ...]
    glibc: str
    sources: Mapping[str, str]
    target: Target


def load_board(name: str) -> Board:
    """The board of that name.

    Raises:
        TargetError: there is none.
    """
    if name not in _board_names():
        raise _unknown(name, _board_names(), f"Known boards are {', '.join(_board_names())}.")
    return _read_board(name)


def list_boards() -> tuple[Board, ...]:
    """Every board, by name."""
    return tuple(_read_board(name) for name in _board_names())


def resolve(text: str | Mapping[str, Any]) -> tuple[Target, Board | None]:
    """What a ``--target`` stands for.

    Args:
        text: a board (``rpi4``), a core (``cortex-a72``), ``host``, or ``mtriple``, ``mcpu`` and
            ``mattr`` as a mapping or as JSON. A name that is both is the board.

    Returns:
        The target, and the board where one was named.

    Raises:
        TargetError: no such board or core, malformed JSON, an unknown architecture or key.
    """
    if isinstance(text, Mapping):
        return parse_target(text), None
    name = text.strip()
    if name in _board_names():
        board = _read_board(name)
        return board.target, board
    try:
        return parse_target(name), None
    except TargetError:
        # The ground knows cores only. Whoever mistypes a board should be told of boards.
        if name.startswith("{") or name == "host":
            raise
        rule = (
            f"Boards are {', '.join(_board_names())}; cores are {', '.join(sorted(CORES))}; "
            "host is this machine."
        )
        raise _unknown(name, (*_board_names(), *CORES, "host"), rule) from None


def _unknown(name: str, known: tuple[str, ...], rule: str) -> TargetError:
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    describe = "`edgewright boards list` describes the boards"
    return TargetError(
        f"unknown target '{name}'",
        rule=rule,
        remedy=f"Did you mean {' or '.join(near)}?"
        if near
        else f"{describe}; mtriple, mcpu and mattr can be given as JSON.",
    )


@functools.cache
def _board_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@functools.cache
def _read_board(name: str) -> Board:
    """Build a board from its file.

    Raises:
        ValueError: the file lacks a key, has one too many, or contradicts itself: a defect of the
            package, not of what its user does.
    """
    with (_FOLDER / f"{name}.toml").open("rb") as stream:
        raw = tomllib.load(stream)
    try:
        clusters = tuple(Cluster(**entry) for entry in raw.pop("clusters"))
        caches = Caches(**raw.pop("caches"))
        images = tuple(OsImage(**entry) for entry in raw.pop("images"))
        return Board(
            name=name,
            clusters=clusters,
            caches=caches,
            images=images,
            features=tuple(raw.pop("features")),
            glibc=min((image.glibc for image in images), key=_version),
            target=_target(clusters[raw["default_cluster"]], caches, raw["default_threads"]),
            **raw,
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{name}.toml does not describe a board: {error!r}") from error


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _target(cluster: Cluster, caches: Caches, threads: int) -> Target:
    return replace(
        CORES[cluster.core],
        num_cores=threads,
        l1_bytes=caches.l1d_kib * 1024,
        l2_bytes=caches.l2_kib * 1024,
    )
