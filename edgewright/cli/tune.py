"""``edgewright tune``: kernels measured on this machine."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.arguments import parse_input_shapes
from edgewright.cli.session import Debug, Json, emit, progress_bar, results, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("tune")(tune_model)


@verb
def tune_model(
    model: Annotated[Path, typer.Argument(help="The .onnx file.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The file of records; one that is there is extended."),
    ],
    target: Annotated[
        str,
        typer.Option("-t", "--target", help="host, or a core that this machine is."),
    ] = "host",
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input-shape", help="Extents of an input with symbolic dimensions: x:1x3x224x224."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(help="Seconds after which nothing more is begun [default: measure all]."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that share the work [default: one on each core].")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the kernels that a model's layers could use, on this machine.

    `edgewright compile --records FILE` then takes the fastest of each layer in place of the one
    that the cost model would choose. The file is written after each layer: an interrupted run, or
    one that its budget ended, goes on where it stopped.
    """
    from edgewright import api
    from edgewright.report.tuning_tables import summary_line, tuning_table

    with progress_bar() as progress:
        tuning = api.tune(
            model,
            target,
            output=output,
            input_shapes=parse_input_shapes(input_shape or []),
            budget=budget,
            threads=threads,
            command=f"edgewright {shlex.join(sys.argv[1:])}",
            progress=progress,
        )
    if as_json:
        emit(
            {
                "records": str(output),
                "threads": tuning.threads,
                "measured": tuning.measured,
                "remaining": tuning.remaining,
                "layers": [
                    {
                        **dataclasses.asdict(layer),
                        "gain": layer.record.gain if layer.record is not None else None,
                    }
                    for layer in tuning.layers
                ],
            }
        )
        return
    console = results()
    console.print(tuning_table(tuning), "")
    console.print(summary_line(tuning), markup=False, soft_wrap=True)
    console.print(f"Wrote {output}", markup=False, soft_wrap=True)
