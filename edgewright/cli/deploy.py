"""``edgewright deploy``: a bundle onto a board."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import Debug, Json, emit, progress_bar, results, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("deploy")(deploy_to_board)


@verb
def deploy_to_board(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    address: Annotated[
        str,
        typer.Argument(
            help="ssh://user@host[:port][/path]; /~/path is below the home folder "
            "[default path: ~/edgewright/NAME]."
        ),
    ],
    selftest: Annotated[
        bool, typer.Option(help="Prove the new version there before it replaces the old one.")
    ] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring a bundle to a board: checked first, copied beside, proven there, then renamed.

    Nothing is copied to a board that lacks what the bundle needs. Only what changed is sent.
    Whatever interrupts it, the board has the old version or the new one.
    """
    from edgewright import api
    from edgewright.report.deployment_tables import check_table, format_deployment

    loaded = api.load(bundle)
    with progress_bar() as progress:
        deployment = loaded.deploy(address, selftest=selftest, progress=progress)
    if as_json:
        emit(dataclasses.asdict(deployment))
        return
    console = results()
    console.print(check_table(deployment.checks), "")
    console.print(format_deployment(deployment), markup=False, soft_wrap=True)
