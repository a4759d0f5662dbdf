"""Boards by name, and what a ``--target`` stands for.

A board is one TOML file; its name is the file's. Edgewright's own are in this folder, the user's in
:func:`user_folder`. Neither TVM nor torch is imported.

A board stands for the core of its default cluster with that cluster's caches. ``num_cores`` of that
target is the board's ``default_threads``: kernels are cut into tasks for that many threads, and a
bundle runs with as many unless told otherwise. A bare core's is the core count of a usual cluster.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.deploy.boards.board import Board, Caches, Cluster, OsImage
from edgewright.deploy.boards.board_file import read_board_file
from edgewright.spec.errors import TargetError
from edgewright.spec.target import CORES, Target, parse_target

__all__ = [
    "Board",
    "Caches",
    "Cluster",
    "OsImage",
    "check_own_name",
    "list_boards",
    "load_board",
    "resolve",
    "user_folder",
]

_FOLDER = Path(__file__).parent
#: Names end up in commands and in files' names.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def user_folder() -> Path:
    """Where the user's own boards are: ``edgewright/boards`` in ``$XDG_CONFIG_HOME``.

    The variable and its default, ``~/.config``, are the XDG base directory specification's, which
    says that a relative path there counts as none.
    """
    config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    home = config if config.is_absolute() else Path(os.path.expanduser("~/.config"))
    return home / "edgewright" / "boards"


def load_board(name: str) -> Board:
    """The board of that name.

    Raises:
        TargetError: there is none, or its file is malformed.
    """
    board = _find(name)
    if board is None:
        raise _unknown(name, _board_names(), f"Known boards are {', '.join(_board_names())}.")
    return board


def list_boards() -> tuple[Board, ...]:
    """Every board, by name: Edgewright's, then the user's.

    Raises:
        TargetError: a file of the user's is malformed, or has a name that it may not have.
    """
    return (*map(_read_shipped, _shipped_names()), *map(_read_own, _own_names()))


def check_own_name(name: str) -> None:
    """Let a name pass that a board of the user's may have.

    Raises:
        TargetError: it is that of one of Edgewright's boards, of a core, or ``host``, or holds
            something else than small letters, digits, stops, hyphens and underscores.
    """
    taken = (*_shipped_names(), *CORES, "host")
    if name in taken:
        raise TargetError(
            f"'{name}' cannot be the name of a board of your own",
            rule="Edgewright has a target of that name, and a name always means the same.",
            remedy=f"Take another, such as my-{name}; your boards are files in {user_folder()}.",
        )
    if not _NAME.fullmatch(name):
        raise TargetError(
            f"'{name}' cannot be the name of a board",
            rule="A name is made of small letters, digits, stops, hyphens and underscores, and "
            "begins with a letter or digit.",
            remedy="Take another, such as my-board.",
        )


def resolve(text: str | Mapping[str, Any] | Target | Board) -> tuple[Target, Board | None]:
    """What a ``--target`` stands for.

    Args:
        text: a board (``rpi4``), a core (``cortex-a72``), ``host``, or ``mtriple``, ``mcpu`` and
            ``mattr`` as a mapping or as JSON. A name that is both is the board. A target or a
            board, which need no looking up, is let through: another machine may not know them.

    Returns:
        The target, and the board where one was named.

    Raises:
        TargetError: no such board or core, malformed JSON, an unknown architecture or key, or a
            malformed file of a board of the user's.
    """
    if isinstance(text, Board):
        return text.target, text
    if isinstance(text, Target):
        return text, None
    if isinstance(text, Mapping):
        return parse_target(text), None
    name = text.strip()
    board = _find(name)
    if board is not None:
        return board.target, board
    try:
        return parse_target(name), None
    except TargetError:
        # The ground knows cores only. Whoever mistypes a board should be told of boards.
        if name.startswith("{") or name == "host":
            raise
        if name.startswith("cuda:"):
            raise TargetError(
                f"'{name}' is a GPU",
                rule="Models are compiled for GPUs; what is asked for here exists on CPUs only.",
                remedy="Name a board, a core or host.",
            ) from None
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


def _find(name: str) -> Board | None:
    if name in _own_names():
        return _read_own(name)
    return _read_shipped(name) if name in _shipped_names() else None


def _board_names() -> tuple[str, ...]:
    return (*_shipped_names(), *_own_names())


@functools.cache
def _shipped_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@functools.cache
def _read_shipped(name: str) -> Board:
    return read_board_file(_FOLDER / f"{name}.toml", own=False)


def _own_names() -> tuple[str, ...]:
    """Names in the user's folder, read each time: a board may just have been saved."""
    return tuple(sorted(path.stem for path in user_folder().glob("*.toml")))


def _read_own(name: str) -> Board:
    check_own_name(name)
    return read_board_file(user_folder() / f"{name}.toml", own=True)
