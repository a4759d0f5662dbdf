"""The whole way of a model, in order: load, prepare, lower, prove, link, bundle."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.bundle import Bundle
from edgewright.deploy.bundle import hash_file, read_bundle, replaceable
from edgewright.deploy.output_folder import check_output, staged_folder
from edgewright.model_name import model_name
from edgewright.schedules.records import Records
from edgewright.spec.errors import UsageError
from edgewright.spec.progress import Progress, StageClock, silent

if TYPE_CHECKING:
    from edgewright.deploy.boards.board import Board
    from edgewright.deploy.cuda.targets import CudaTarget
    from edgewright.deploy.tuning.tune import Tuning
    from edgewright.inspection import Inspection
    from edgewright.spec.target import Target

__all__ = ["Bundle", "compile", "inspect", "load", "tune"]

_WEIGHTS = ("file", "embed")
_TOOLCHAINS = ("zig", "gnu")


def compile(  # noqa: A001  # the verb of the command line
    model: str | os.PathLike[str],
    target: str | Mapping[str, Any] | Target | Board = "host",
    *,
    output: str | os.PathLike[str] | None = None,
    name: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    conv_algorithm: str = "auto",
    max_error: float | None = None,
    max_workspace: int | None = None,
    weights: str = "file",
    toolchain: str = "zig",
    records: str | os.PathLike[str] | Records | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Compile an ONNX model into a bundle that carries its proof and needs nothing on the board.

    Args:
        model: the ``.onnx`` file; its external data lies in the same folder.
        target: a board (``rpi4``), a core (``cortex-a72``), ``host``, a GPU (``cuda:sm_90``,
            ``cuda:jetson-orin-nano``), or a mapping (or its JSON) of ``mtriple``, ``mcpu`` and
            ``mattr``; or what one of these was resolved to.
        output: the bundle's folder, made with what is missing above it; None for a temporary one
            that lives as long as the returned object (see :meth:`Bundle.save`).
        name: the model's name in file names and C; by default that of the file.
        input_shapes: extents of inputs with symbolic dimensions, by input.
        conv_algorithm: ``auto``, ``direct``, ``depthwise``, ``winograd``, ``im2col`` or ``fft``.
        max_error: largest error a kernel may add, as a share of its output's largest value; by
            default Winograd's may be four times the direct convolution's.
        max_workspace: bytes of working memory that a kernel may take for each thread.
        weights: ``file`` (weights.bin, mapped) or ``embed`` (inside the library).
        toolchain: ``zig`` (from the ziglang wheel) or ``gnu`` (a cross compiler of the system).
        records: what :func:`tune` measured, or its file: the fastest kernels replace those that
            the cost model would choose, within the limits above.
        force: replace a bundle that stands at ``output``.
        progress: told each stage's name and the fraction of it that is done.

    Raises:
        UsageError: an argument is wrong; the subclasses say which.
        ModelError: the model is broken, or cannot be compiled right.
        RecordsError: the file of records cannot be read, or is damaged.
        EnvironmentFailure: a tool or the disk failed. Whatever is raised, nothing is left behind.
    """
    import onnx_ir

    from edgewright.compiler.cuda.lower import lower_for_gpu
    from edgewright.compiler.lower import lower
    from edgewright.compiler.onnx_passes import load_model, prepare
    from edgewright.compiler.options import Options
    from edgewright.compiler.verify.golden import make_golden
    from edgewright.compiler.verify.reference import index_limits
    from edgewright.deploy.boards.registry import resolve
    from edgewright.deploy.cuda.nvcc import open_nvcc
    from edgewright.deploy.cuda.targets import parse_cuda_target
    from edgewright.deploy.write_bundle import write_bundle

    _check_choice("weights", weights, _WEIGHTS)
    _check_choice("toolchain", toolchain, _TOOLCHAINS)
    cuda = parse_cuda_target(target)
    core, board = (cuda.host, cuda.board) if cuda is not None else resolve(target)
    nvcc = open_nvcc(cuda.gpu) if cuda is not None else None
    file, name = Path(model), model_name(name, Path(model))
    if records is not None and not isinstance(records, Records):
        records = Records.load(records)
    options = Options(conv_algorithm, max_error, max_workspace, weights == "embed", records)
    folder, temporary = _place(output, f"{name}-{_target_name(cuda, core, board)}", force)
    clock = StageClock(progress or silent)

    with clock.stage("load"):
        loaded = load_model(file, input_shapes)
    with clock.stage("prepare"):
        prepared = onnx_ir.to_proto(prepare(loaded))
    lower_it = lower if cuda is None else functools.partial(lower_for_gpu, gpu=cuda.gpu)
    compiled = lower_it(prepared, core, name=name, options=options, progress=clock.progress)
    clock.seconds.update(compiled.stage_seconds)
    with clock.stage("reference"):
        limits = index_limits(prepared)
        golden = make_golden(file, compiled.inputs, compiled.outputs, limits=limits)
    with clock.stage("link"), staged_folder(folder, replaceable=replaceable(force)) as staging:
        write_bundle(
            staging,
            compiled,
            golden,
            model_sha256=hash_file(file),
            board=board,
            toolchain=toolchain,
            options=options,
            nvcc=nvcc,
        )
    return Bundle(read_bundle(folder), clock.seconds, temporary)


def load(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle after comparing every file with the manifest's hash.

    Raises:
        BundleError: no bundle, another schema, or a file that was changed, is missing or was added.
    """
    return Bundle(read_bundle(Path(path)))


def inspect(
    model: str | os.PathLike[str],
    target: str | Mapping[str, Any] | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Inspection:
    """Find out what a model is made of, and what of it would not compile, without compiling it.

    Args:
        model: the ``.onnx`` file.
        target: a board, to ask whether its memory suffices.
        input_shapes: extents of inputs with symbolic dimensions, by input.

    Raises:
        ModelError: the file is no sound ONNX model.
        TargetError: the target is unknown.
    """
    from edgewright.inspection import inspect_model

    return inspect_model(Path(model), target, input_shapes)


def tune(
    model: str | os.PathLike[str],
    target: str | Mapping[str, Any] = "host",
    *,
    output: str | os.PathLike[str] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    budget: float | None = None,
    threads: int | None = None,
    command: str = "edgewright.tune",
    progress: Progress | None = None,
) -> Tuning:
    """Measure kernels for a model's layers on this machine, for :func:`compile` to choose from.

    Candidates of each convolution and matrix product are compiled, compared with one another and
    timed in turns, in a process of their own and on the threads of the C runtime.

    Args:
        model: the ``.onnx`` file; its external data lies in the same folder.
        target: ``host``, or a core that this machine is.
        output: the file of records. One that is there is extended: what it holds is not measured
            again. It is written after each workload. None keeps the records in memory.
        input_shapes: extents of inputs with symbolic dimensions, by input.
        budget: seconds after which no other workload is begun; None measures all.
        threads: threads that share the work; by default as many as a bundle uses here.
        command: what the file says that it was made by.
        progress: told each stage's name and the fraction of it that is done.

    Raises:
        TargetError: kernels for the target cannot be timed on this machine.
        UsageError: the budget or the number of threads is out of range.
        ModelError: the model is broken, or cannot be compiled right.
        RecordsError: the file that is there is damaged, or was measured on another processor.
        OutputError: the file cannot be written.
        EnvironmentFailure: a tool or the disk failed.
    """
    import onnx_ir

    from edgewright.compiler.onnx_passes import load_model, prepare
    from edgewright.compiler.tunable import find_tunables
    from edgewright.deploy.boards.registry import resolve
    from edgewright.deploy.tuning.tune import check_conditions, open_records, tune_layers

    core, board = resolve(target)
    place = None if output is None else Path(output)
    threads = check_conditions(core, board, threads, budget, place)
    records = open_records(place)
    clock = StageClock(progress or silent)
    with clock.stage("load"):
        loaded = load_model(Path(model), input_shapes)
    with clock.stage("prepare"):
        prepared = onnx_ir.to_proto(prepare(loaded))
    with clock.stage("choose"):
        tunables = find_tunables(prepared, core)
    return tune_layers(
        tunables,
        core,
        records,
        threads=threads,
        output=place,
        budget=budget,
        command=command,
        progress=clock.progress,
    )


def _target_name(cuda: CudaTarget | None, core: Target, board: Board | None) -> str:
    """The target's part of a bundle's name; a board's GPU has another than its CPU."""
    return core.name if cuda is not None or board is None else board.name


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{option} is '{value}'", rule=f"It is {' or '.join(choices)}.")


def _place(
    output: str | os.PathLike[str] | None, name: str, force: bool
) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Where the bundle goes, checked before the minutes and not after."""
    if output is None:
        temporary = tempfile.TemporaryDirectory(prefix="edgewright-")
        return Path(temporary.name) / name, temporary
    check_output(Path(output), replaceable=replaceable(force))
    return Path(output), None
