"""``edgewright compile``: a model into a bundle."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.arguments import parse_input_shapes
from edgewright.cli.session import Debug, Json, emit, progress_bar, results, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("compile")(compile_model)


@verb
def compile_model(
    model: Annotated[Path, typer.Argument(help="The .onnx file.")],
    target: Annotated[
        str,
        typer.Option(
            "-t",
            "--target",
            help="A board (rpi4), a core (cortex-a72), host, a GPU (cuda:sm_90, "
            "cuda:jetson-orin-nano), or mtriple, mcpu and mattr as JSON.",
        ),
    ] = "host",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The bundle's folder [default: NAME-TARGET]."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's name in files and C [default: the file's].")
    ] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input-shape", help="Extents of an input with symbolic dimensions: x:1x3x224x224."
        ),
    ] = None,
    conv_algorithm: Annotated[
        str, typer.Option(help="auto, direct, depthwise, winograd, im2col or fft.")
    ] = "auto",
    max_error: Annotated[
        float | None,
        typer.Option(help="Largest error of a kernel, as a share of its output's largest value."),
    ] = None,
    max_workspace: Annotated[
        int | None, typer.Option(help="Bytes of working memory of a kernel, for each thread.")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="file (weights.bin, mapped) or embed (inside the library).")
    ] = "file",
    toolchain: Annotated[
        str, typer.Option(help="zig (comes with Edgewright) or gnu (the system's cross compiler).")
    ] = "zig",
    records: Annotated[
        Path | None, typer.Option(help="What `edgewright tune` measured; overrides the cost model.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the bundle there.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile an ONNX model into a verified bundle for a target.

    The bundle holds a library without dependencies, headers, weights, programs to test and time it,
    and golden tensors from onnxruntime. Nothing is left behind if the compilation fails or is
    interrupted.
    """
    from edgewright import api
    from edgewright.report.tables import kernel_table, size_table, stage_table
    from edgewright.report.tuning_tables import records_line

    with progress_bar() as progress:
        bundle = api.compile(
            model,
            target,
            output=output if output is not None else _default_output(model, target, name),
            name=name,
            input_shapes=parse_input_shapes(input_shape or []),
            conv_algorithm=conv_algorithm,
            max_error=max_error,
            max_workspace=max_workspace,
            weights=weights,
            toolchain=toolchain,
            records=records,
            force=force,
            progress=progress,
        )
    if as_json:
        memory = dataclasses.asdict(bundle.manifest.memory)
        emit(
            {
                "bundle": str(bundle.path),
                "layers": [dataclasses.asdict(layer) for layer in bundle.manifest.layers],
                "memory": memory,
                "files": {
                    name: entry.size_bytes for name, entry in sorted(bundle.manifest.files.items())
                },
                "stage_seconds": bundle.stage_seconds,
            }
        )
        return
    console = results()
    for table in (
        stage_table(bundle.stage_seconds),
        kernel_table(bundle.manifest),
        size_table(bundle.manifest),
    ):
        console.print(table, "")
    if records is not None:
        console.print(records_line(bundle.manifest), markup=False, soft_wrap=True)
    console.print(f"Wrote {bundle.path}", markup=False, soft_wrap=True)


def _default_output(model: Path, target: str, name: str | None) -> Path:
    """``NAME-TARGET`` in the working directory."""
    from edgewright.deploy.boards.registry import resolve
    from edgewright.deploy.cuda.targets import parse_cuda_target
    from edgewright.model_name import model_name

    cuda = parse_cuda_target(target)
    if cuda is not None:
        return Path(f"{model_name(name, model)}-{cuda.host.name}")
    core, board = resolve(target)
    return Path(f"{model_name(name, model)}-{board.name if board is not None else core.name}")
