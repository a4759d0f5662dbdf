"""The table of verbs, and the program made of it."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

__all__ = ["VERBS", "build_app"]

#: Verbs and groups of verbs, in the order of ``edgewright --help``; each is the module of that name
#: with ``register(app)``. These modules import nothing heavy: the help must answer at once.
VERBS = (
    "models",
    "inspect",
    "tune",
    "compile",
    "run",
    "verify",
    "deploy",
    "bench",
    "cost",
    "boards",
)


def build_app() -> typer.Typer:
    """The program with every verb."""
    app = typer.Typer(
        name="edgewright",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    for verb in VERBS:
        importlib.import_module(f"edgewright.cli.{verb}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from edgewright import __version__

        typer.echo(f"edgewright {__version__}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Compile ONNX models into small, self-verifying libraries for ARM boards.

    Exit status: 0 fine; 1 a verification failed; 2 bad usage, bad or unsupported model; 3 the
    environment or the board failed; 4 a defect of Edgewright itself.
    """
