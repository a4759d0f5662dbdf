"""``edgewright cost``: executed instructions under emulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import Debug, Json, emit, progress_bar, results, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("cost")(count_cost)


@verb
def count_cost(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    cpu: Annotated[
        str | None,
        typer.Option(help="The core to emulate, such as cortex-a72 [default: the bundle's]."),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show the instructions of each layer.")
    ] = False,
    inferences: Annotated[
        int, typer.Option(help="Inferences that the counts are the mean of.")
    ] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Count the instructions that one inference executes on an emulated core, by class.

    The counts are those of the real core and the same in every run. They are not a latency. Needs
    QEMU's user mode with plugins (Debian 12: qemu-user); the plugin is compiled on first use.
    """
    from edgewright import api
    from edgewright.report.cost_tables import cost_table, layer_cost_table

    loaded = api.load(bundle)
    with progress_bar() as progress:
        cost = loaded.cost(cpu=cpu, layers=layers, inferences=inferences, progress=progress)
    if as_json:
        emit(cost.to_dict())
        return
    console = results()
    console.print(cost_table(cost))
    if layers:
        console.print("", layer_cost_table(cost))
