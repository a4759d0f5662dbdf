"""``edgewright verify``: parity with onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import Debug, Json, On, emit, finish, progress_bar, results, verb
from edgewright.spec.errors import VerificationError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("verify")(verify_bundle)


@verb
def verify_bundle(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    model: Annotated[
        Path | None,
        typer.Option(
            "-m", "--model", help="The ONNX file it was compiled from, for fresh inputs too."
        ),
    ] = None,
    on: On = "host",
    atol: Annotated[
        float | None, typer.Option(help="Absolute tolerance, as numpy.allclose has it.")
    ] = None,
    rtol: Annotated[
        float | None, typer.Option(help="Relative tolerance, as numpy.allclose has it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="What the fresh inputs follow from.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads that share the work.")] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare a bundle with onnxruntime and print the tolerance that would pass.

    Without --model, the golden tensors of the bundle are compared; with it, onnxruntime runs beside
    the bundle on fresh inputs too. By default the largest difference may be 1e-4 of the output's
    largest value; with --atol or --rtol, every element must be within atol + rtol * |expected|.
    """
    from edgewright import api
    from edgewright.report.tables import verification_table

    loaded = api.load(bundle)
    with progress_bar() as progress:
        verification = loaded.verify(
            model, on=on, atol=atol, rtol=rtol, seed=seed, threads=threads, progress=progress
        )
    if as_json:
        emit(verification.to_dict())
    else:
        results().print(verification_table(verification))
    try:
        verification.check()
    except VerificationError as error:
        if as_json:
            finish(error.exit_status)
        raise
