"""``edgewright bench``: latency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.arguments import parse_threads
from edgewright.cli.session import Debug, Json, On, emit, progress_bar, results, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("bench")(bench_bundle)


@verb
def bench_bundle(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    model: Annotated[
        Path | None,
        typer.Option("-m", "--model", help="The ONNX file it was compiled from; --vs needs it."),
    ] = None,
    on: On = "host",
    threads: Annotated[str, typer.Option(help="Numbers of threads, such as 1,2,4.")] = "1",
    versus: Annotated[
        str | None, typer.Option("--vs", help="Another engine, side by side: onnxruntime.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Inferences that count [default: what 2 s allow].")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show the time of each layer.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a bundle's latency: median, p90 and p99 of one inference.

    With --vs the engines take turns in one run. Under emulation nothing is timed: an emulated time
    is no latency.
    """
    from edgewright import api
    from edgewright.report.tables import benchmark_table, layer_table

    loaded = api.load(bundle)
    with progress_bar() as progress:
        benchmark = loaded.bench(
            on=on,
            threads=parse_threads(threads),
            vs=versus,
            model=model,
            repeats=repeats,
            profile=profile,
            progress=progress,
        )
    if as_json:
        emit(benchmark.to_dict())
        return
    console = results()
    console.print(benchmark_table(benchmark))
    if profile:
        console.print("", layer_table(benchmark))
