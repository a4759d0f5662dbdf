"""``edgewright bench``: latency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.arguments import parse_threads
from edgewright.cli.fleet import bench_fleet_file, refuse_options_of_one_board
from edgewright.cli.session import Debug, Json, On, emit, progress_bar, results, verb
from edgewright.spec.errors import UsageError

__all__ = ["register"]

_NAME_FLEET = "Name the fleet's file with --fleet, or leave them out."


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("bench")(bench_bundle)


@verb
def bench_bundle(
    context: typer.Context,
    bundle: Annotated[Path | None, typer.Argument(help="The bundle's folder.")] = None,
    model: Annotated[
        Path | None,
        typer.Option("-m", "--model", help="The ONNX file it was compiled from; --vs needs it."),
    ] = None,
    on: On = "host",
    threads: Annotated[str, typer.Option(help="Numbers of threads, such as 1,2,4.")] = "1",
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep", help="Try every number of threads on every cluster, and recommend one."
        ),
    ] = False,
    versus: Annotated[
        str | None, typer.Option("--vs", help="Another engine, side by side: onnxruntime.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Inferences that count [default: what 2 s allow].")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show the time of each layer.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two files of --json: say what changed beyond noise, and end."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of --json, and end.")
    ] = False,
    fleet: Annotated[
        Path | None, typer.Option(help="A fleet.toml: measure on all its boards at once.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="With --fleet: a folder for bundles and each board's JSON."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="With --fleet: a Dask scheduler to compile on, tcp://host:8786."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a bundle's latency: load, first run, and median, p90 and p99 of one inference.

    On a board (--on ssh://...) the bundle's static `bench` runs; it is put there first unless the
    address names where it is. Clocks, temperature, load and throttling are watched meanwhile, and a
    disturbed run is marked. With --vs the engines take turns in one run. Under emulation nothing is
    timed: an emulated time is no latency. With --fleet a file names models and boards (see
    docs/fleet.md); a board that is lost is named, and the exit status is 3.
    """
    if fleet is not None:
        refuse_options_of_one_board(context)
        bench_fleet_file(fleet, output, cluster, as_json=as_json)
        return
    if output is not None or cluster is not None:
        raise UsageError("--output or --cluster was given without --fleet", remedy=_NAME_FLEET)
    if compare is not None:
        _compare(*compare, as_json)
        return
    if schema:
        from edgewright.deploy.benchmark import Benchmark
        from edgewright.spec.json_schema import json_schema

        emit(json_schema(Benchmark))
        return
    from edgewright import api
    from edgewright.report.deployment_tables import ncnn_lines, state_table
    from edgewright.report.tables import benchmark_table, layer_table

    if bundle is None:
        raise UsageError("no bundle was named", remedy="Name the folder of a bundle.")
    loaded = api.load(bundle)
    with progress_bar() as progress:
        benchmark = loaded.bench(
            on=on,
            threads=parse_threads(threads),
            sweep=sweep,
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
    console.print(benchmark_table(benchmark), "")
    if benchmark.states:
        console.print(state_table(benchmark), "")
    if profile:
        console.print(layer_table(benchmark), "")
    for line in (benchmark.recommendation, *ncnn_lines(benchmark)):
        if line:
            console.print(line, markup=False, soft_wrap=True)


def _compare(before: Path, after: Path, as_json: bool) -> None:
    from edgewright.deploy.benchmark import read_benchmark
    from edgewright.deploy.compare_benchmarks import compare_benchmarks
    from edgewright.report.deployment_tables import comparison_tables

    comparison = compare_benchmarks(read_benchmark(before), read_benchmark(after))
    if as_json:
        emit(comparison.to_dict())
        return
    console = results()
    for table in comparison_tables(comparison):
        console.print(table, "")
    for caveat in comparison.caveats:
        console.print(f"Beware: {caveat}.", markup=False, soft_wrap=True)
