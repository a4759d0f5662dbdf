"""``edgewright models``: the reference networks and documented layers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import Debug, Json, emit, messages, results, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="List and export reference networks and layers.")
    group.command("list")(list_networks)
    group.command("export")(export_network)
    app.add_typer(group, name="models")


@verb
def list_networks(as_json: Json = False, debug: Debug = False) -> None:
    """List the reference networks and the documented layers."""
    from edgewright.models.registry import list_models
    from edgewright.report.tables import plain_table

    entries = list_models()
    if as_json:
        emit([dataclasses.asdict(entry) for entry in entries])
        return
    table = plain_table(
        "Reference networks and layers",
        "name",
        "kind",
        "input",
        "parameters",
        "MMACs",
        "what",
        right=frozenset({3, 4}),
    )
    for entry in entries:
        macs = f"{entry.macs / 1e6:.1f}"
        table.add_row(
            entry.name,
            entry.kind,
            entry.shape_text,
            f"{entry.parameters:,}",
            macs,
            entry.summary,
        )
    results().print(table)


@verb
def export_network(
    name: Annotated[str, typer.Argument(help="A name of `edgewright models list`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file to write.")],
    seed: Annotated[int, typer.Option(help="What the weights follow from.")] = 0,
    batch: Annotated[int, typer.Option(help="Inputs that one inference takes.")] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a reference network or layer with seeded weights as an ONNX file."""
    from edgewright.models.export import export

    export(name, output, seed=seed, batch=batch)
    if as_json:
        emit({"name": name, "path": str(output), "seed": seed, "batch": batch})
    else:
        messages().print(f"Wrote {output}", markup=False, soft_wrap=True)
