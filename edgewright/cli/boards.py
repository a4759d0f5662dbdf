"""``edgewright boards``: the registry of boards."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewright.cli.session import Debug, Json, emit, results, verb

if TYPE_CHECKING:
    from edgewright.deploy.boards.registry import Board

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="List and describe boards.")
    group.command("list")(list_all)
    group.command("show")(show_board)
    app.add_typer(group, name="boards")


@verb
def list_all(as_json: Json = False, debug: Debug = False) -> None:
    """List the boards that a model can be compiled for, and the bare cores."""
    from edgewright.deploy.boards.registry import list_boards
    from edgewright.report.tables import plain_table
    from edgewright.spec.target import CORES

    boards = list_boards()
    if as_json:
        emit({"boards": [dataclasses.asdict(board) for board in boards], "cores": sorted(CORES)})
        return
    table = plain_table("Boards", "name", "board", "cores", "C library")
    for board in boards:
        table.add_row(board.name, board.title, _cores(board), f"glibc {board.glibc}")
    console = results()
    console.print(table, "")
    console.print(f"Cores, for other boards: {', '.join(sorted(CORES))}. This machine: host.")


@verb
def show_board(
    name: Annotated[str, typer.Argument(help="A name of `edgewright boards list`.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Describe one board: its cores, caches and systems, and where each fact is from."""
    from edgewright.deploy.boards.registry import load_board
    from edgewright.report.tables import plain_table

    board = load_board(name)
    if as_json:
        emit(dataclasses.asdict(board))
        return
    table = plain_table(board.title, "what", "value")
    for what, value in _facts(board):
        table.add_row(what, value)
    results().print(table)


def _cores(board: Board) -> str:
    return ", ".join(f"{cluster.count} {cluster.core}" for cluster in board.clusters)


def _facts(board: Board) -> list[tuple[str, str]]:
    caches, target = board.caches, board.target
    clocks = ", ".join(f"{cluster.clock_mhz} MHz" for cluster in board.clusters)
    facts: list[tuple[str, Any]] = [
        ("system on chip", board.soc),
        ("cores", f"{_cores(board)}, {clocks}"),
        ("memory", f"{board.memory_mb} MiB and up"),
        ("level 1 cache", f"{caches.l1d_kib} KiB of data for each core"),
        ("level 2 cache", f"{caches.l2_kib} KiB{', shared' if caches.l2_shared else ''}"),
        ("CPU features", " ".join(board.features)),
        ("triple", target.mtriple),
        ("LLVM's CPU", " ".join((target.mcpu, *target.mattr))),
        ("threads", board.default_threads),
    ]
    facts += [("system", f"{image.name} (glibc {image.glibc})") for image in board.images]
    facts += [(f"source of {fact}", place) for fact, place in sorted(board.sources.items())]
    return [(what, str(value)) for what, value in facts]
