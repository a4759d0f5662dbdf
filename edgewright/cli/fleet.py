"""``edgewright bench --fleet``: latency on many boards at once."""

from __future__ import annotations

from pathlib import Path

import typer

from edgewright.cli.session import emit, finish, messages, progress_bar, results
from edgewright.spec.errors import UsageError

__all__ = ["bench_fleet_file", "refuse_options_of_one_board"]

#: Exit status if any board was lost: the environment's.
_LOST = 3
_OPTIONS = frozenset({"fleet", "output", "cluster", "as_json", "debug"})


def refuse_options_of_one_board(context: typer.Context) -> None:
    """Refuse options of a single benchmark beside ``--fleet``; its file has its own.

    Raises:
        UsageError: one was given.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in _OPTIONS:
            raise UsageError(
                f"--fleet was given together with {_name(parameter)}",
                rule="What is measured on a fleet, and how, is in its file.",
                remedy="Write it into the file, or leave it out.",
            )


def _name(parameter: object) -> str:
    options: list[str] = getattr(parameter, "opts", [])
    longest = max(options, key=len, default="")
    return longest if longest.startswith("--") else "a bundle"


def bench_fleet_file(
    fleet: Path, output: Path | None, cluster: str | None, *, as_json: bool
) -> None:
    """Measure, print what came of it, and end with status 3 if a board was lost."""
    from edgewright.fleet import bench_fleet
    from edgewright.report.fleet_tables import fleet_table, lost_line

    with progress_bar() as progress:
        result = bench_fleet(fleet, output=output, cluster=cluster, progress=progress)
    if as_json:
        emit(result.to_dict())
    else:
        if result.results:
            results().print(fleet_table(result))
        for row in result.results:
            if row.benchmark.recommendation:
                line = f"{row.board}: {row.benchmark.recommendation}"
                results().print(line, markup=False, soft_wrap=True)
    for lost in result.lost:
        messages().print(lost_line(lost), markup=False, soft_wrap=True)
    if result.lost:
        finish(_LOST)
