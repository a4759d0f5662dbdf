"""``edgewright boards``: the registry of boards."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli.session import Debug, Json, emit, results, verb

if TYPE_CHECKING:
    from edgewright.deploy.boards.match import BoardMatch

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="List, describe and detect boards.")
    group.command("list")(list_all)
    group.command("show")(show_board)
    group.command("detect")(detect_board)
    app.add_typer(group, name="boards")


@verb
def list_all(as_json: Json = False, debug: Debug = False) -> None:
    """List the boards that a model can be compiled for, and the bare cores."""
    from edgewright.deploy.boards.registry import list_boards
    from edgewright.report.registry_tables import board_list_table
    from edgewright.spec.target import CORES

    boards = list_boards()
    if as_json:
        emit({"boards": [dataclasses.asdict(board) for board in boards], "cores": sorted(CORES)})
        return
    console = results()
    console.print(board_list_table(boards), "")
    console.print(f"Cores, for other boards: {', '.join(sorted(CORES))}. This machine: host.")


@verb
def show_board(
    name: Annotated[str, typer.Argument(help="A name of `edgewright boards list`.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Describe one board: its cores, caches and systems, and where each fact is from."""
    from edgewright.deploy.boards.registry import load_board
    from edgewright.report.registry_tables import board_table

    board = load_board(name)
    if as_json:
        emit(dataclasses.asdict(board))
        return
    results().print(board_table(board))


@verb
def detect_board(
    address: Annotated[
        str, typer.Argument(help="ssh://user@host[:port], or host for this machine.")
    ] = "host",
    save: Annotated[
        str | None,
        typer.Option(help="Save what was found as a board of your own, by this name."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask a board what it is: its entry and what differs, or a new entry to save."""
    from edgewright.deploy.boards.match import match_board
    from edgewright.deploy.boards.new_entry import describe_board, save_entry
    from edgewright.deploy.boards.registry import check_own_name, list_boards
    from edgewright.deploy.boards.report import read_report
    from edgewright.deploy.transport.open_machine import open_machine
    from edgewright.report.registry_tables import report_table

    boards = list_boards()
    if save is not None:
        check_own_name(save)
    with open_machine(address) as machine:
        report = read_report(machine)
    console = results()
    if not as_json:
        console.print(report_table(report), "")
    match = match_board(report, boards)
    entry = describe_board(report) if save is not None or (match is None and report.is_arm) else ""
    place = save_entry(entry, save) if save is not None else None
    if as_json:
        emit(
            {
                "report": report.to_dict(),
                "board": match.board.name if match else None,
                "differences": list(match.differences) if match else [],
                "entry": entry or None,
                "saved": str(place) if place else None,
            }
        )
        return
    if place is not None:
        console.print(
            f"Saved as {place}: compile with --target {save}.", soft_wrap=True, markup=False
        )
    elif match is not None:
        console.print(_verdict(match), soft_wrap=True, markup=False)
    elif entry:
        console.print("No entry describes it. Save this one with --save NAME:\n", soft_wrap=True)
        console.print(entry, soft_wrap=True, markup=False, end="")
    else:
        console.print("It is no ARM board: compile with --target host on it.", soft_wrap=True)


def _verdict(match: BoardMatch) -> str:
    board = match.board
    lines = [f"It is {board.name} ({board.title}): compile with --target {board.name}."]
    lines += [f"- {difference}" for difference in match.differences]
    if not match.differences:
        lines.append("Nothing differs from its entry.")
    return "\n".join(lines)
