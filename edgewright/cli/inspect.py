"""``edgewright inspect``: what a model is made of, and what of it would not compile."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewright.cli.arguments import parse_input_shapes
from edgewright.cli.session import Debug, Json, emit, results, verb

if TYPE_CHECKING:
    from rich.console import Console

    from edgewright.inspection import Inspection

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("inspect")(inspect_model)


@verb
def inspect_model(
    model: Annotated[Path, typer.Argument(help="The .onnx file.")],
    target: Annotated[
        str | None,
        typer.Option("-t", "--target", help="Also ask whether the model fits this board's memory."),
    ] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input-shape", help="Extents of an input with symbolic dimensions: x:1x3x224x224."
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show what each layer takes, gives and multiplies.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a model's operators, shapes, multiply-accumulates, parameters and memory.

    With --layers, for each layer: size of its output, multiply-accumulates, parameters, bytes of
    activation, arithmetic intensity, and what a grouped or depthwise separable form saves over the
    standard convolution (formulas: docs/arithmetic.md). With --json all of that is always there.

    Lists everything that would keep it from being compiled, each with its reason; the exit status
    is 0 all the same.
    """
    from edgewright import api

    inspection = api.inspect(model, target, input_shapes=parse_input_shapes(input_shape or []))
    if as_json:
        emit(inspection.to_dict())
        return
    _print(results(), inspection, layers)


def _print(console: Console, inspection: Inspection, layers: bool) -> None:
    from edgewright.report.arithmetic_table import arithmetic_table
    from edgewright.report.tables import format_bytes, plain_table

    found = inspection.analysis
    table = plain_table(f"Model, opset {found.opset}", "what", "value")
    rows: list[tuple[str, Any]] = [("input", spec) for spec in found.inputs]
    rows += [("output", spec) for spec in found.outputs]
    rows += [
        ("multiply-accumulates", f"{found.macs:,}"),
        ("parameters", f"{found.parameters:,} ({format_bytes(found.parameter_bytes)})"),
        ("largest activation", format_bytes(found.largest_activation_bytes)),
        ("operators", ", ".join(f"{count} {op}" for op, count in found.operators.items())),
    ]
    if inspection.memory_note:
        rows.append(("memory", inspection.memory_note))
    for what, value in rows:
        table.add_row(what, str(value))
    console.print(table, "")
    if layers:
        console.print(arithmetic_table(found), "")
    if not inspection.refusals:
        console.print("Everything in it can be compiled.")
        return
    refused = plain_table("What cannot be compiled", "node", "operator", "why")
    for refusal in inspection.refusals:
        refused.add_row(*(str(value) for value in dataclasses.astuple(refusal)))
    console.print(refused)
