"""``edgewright verify``: parity with onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli.arguments import parse_numbers
from edgewright.cli.session import Debug, Json, On, emit, finish, progress_bar, results, verb
from edgewright.spec.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from edgewright.compiler.verify.classification import Classification
    from edgewright.compiler.verify.verification import Verification

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
    data: Annotated[
        Path | None,
        typer.Option(
            help="A file or folder of labelled images: MNIST's idx files, CIFAR-10's binary "
            "version, SVHN's cropped digits, or a folder of images for each class.",
        ),
    ] = None,
    image_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="Its format, if it is not to be found out: mnist, cifar10, svhn, images.",
        ),
    ] = "",
    samples: Annotated[
        int,
        typer.Option(help="At most that many, evenly spread; 0 for all."),
    ] = 500,
    mean: Annotated[
        str,
        typer.Option(
            help="Subtracted from pixels between 0 and 1; one number, or one for each channel.",
        ),
    ] = "0",
    std: Annotated[str, typer.Option(help="What they are then divided by.")] = "1",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare a bundle with onnxruntime and print the tolerance that would pass.

    Without --model, the golden tensors of the bundle are compared; with it, onnxruntime runs beside
    the bundle on fresh inputs too. By default the largest difference may be 1e-4 of the output's
    largest value; with --atol or --rtol, every element must be within atol + rtol * |expected|.

    With --data, both also classify labelled images: accuracy of both, in how many classes they
    agree, and how far their numbers differ. Numbers beyond the tolerance fail; so two classes may
    differ only where rounding decides between equal scores.
    """
    from edgewright import api

    means, deviations = parse_numbers("--mean", mean), parse_numbers("--std", std)
    if data is not None and model is None:
        raise UsageError(
            f"labelled samples, '{data}', were given without the model",
            rule="onnxruntime must run the model on them to compare with.",
            remedy="Name the ONNX file with --model.",
        )
    loaded = api.load(bundle)
    classification = None
    with progress_bar() as progress:
        # First, so that samples that cannot be read are reported at once.
        if data is not None and model is not None:
            classification = loaded.classify(
                *(model, data),
                image_format=image_format,
                limit=samples or None,
                mean=means,
                deviation=deviations,
                on=on,
                atol=atol,
                rtol=rtol,
                threads=threads,
                progress=progress,
            )
        verification = loaded.verify(
            model, on=on, atol=atol, rtol=rtol, seed=seed, threads=threads, progress=progress
        )
    _show(verification, classification, as_json)
    try:
        verification.check()
        if classification is not None:
            classification.check()
    except VerificationError as error:
        if as_json:
            finish(error.exit_status)
        raise


def _show(verification: Verification, classification: Classification | None, as_json: bool) -> None:
    from edgewright.report.classification_table import classification_table, disagreement_table
    from edgewright.report.tables import verification_table

    if as_json:
        report = verification.to_dict()
        if classification is not None:
            report["data"] = classification.to_dict()
            report["passed"] = verification.passed and classification.passed
        emit(report)
        return
    results().print(verification_table(verification))
    if classification is not None:
        results().print("", classification_table(classification))
        if classification.disagreements:
            results().print("", disagreement_table(classification))
