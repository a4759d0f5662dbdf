"""The whole way of a model, in order: load, prepare, lower, prove, link, bundle; then run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.compiler.verify.compare import Tolerance
from edgewright.compiler.verify.runner import Array
from edgewright.compiler.verify.verification import Case, Verification, compare_case
from edgewright.deploy.benchmark import Benchmark
from edgewright.deploy.bundle import BundleFolder, hash_file, is_bundle, read_bundle
from edgewright.deploy.manifest import Manifest
from edgewright.deploy.output_folder import check_output, staged_folder
from edgewright.model_name import model_name
from edgewright.spec.errors import UsageError
from edgewright.spec.progress import Progress, silent
from edgewright.stages import StageClock

__all__ = ["Bundle", "compile", "load"]


def compile(  # noqa: A001  # the verb of the command line
    model: str | os.PathLike[str],
    target: str | Mapping[str, Any] = "host",
    *,
    output: str | os.PathLike[str] | None = None,
    name: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    conv_algorithm: str = "auto",
    max_error: float | None = None,
    max_workspace: int | None = None,
    weights: str = "file",
    toolchain: str = "zig",
    force: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Compile an ONNX model into a bundle that carries its proof and needs nothing on the board.

    Args:
        model: the ``.onnx`` file; its external data lies in the same folder.
        target: a board (``rpi4``), a core (``cortex-a72``), ``host``, or a mapping (or its JSON) of
            ``mtriple``, ``mcpu`` and ``mattr``.
        output: the bundle's folder, made with what is missing above it; None for a temporary one
            that lives as long as the returned object (see :meth:`Bundle.save`).
        name: the model's name in file names and C; by default that of the file.
        input_shapes: extents of inputs with symbolic dimensions, by input.
        conv_algorithm: ``auto``, ``direct``, ``im2col``, ``winograd`` or ``fft``.
        max_error: largest error a kernel may add, as a share of its output's largest value.
        max_workspace: bytes of working memory that a kernel may take for each thread.
        weights: ``file`` (weights.bin, mapped) or ``embed`` (inside the library).
        toolchain: ``zig`` (from the ziglang wheel) or ``gnu`` (a cross compiler of the system).
        force: replace a bundle that stands at ``output``.
        progress: told each stage's name and the fraction of it that is done.

    Raises:
        UsageError: an argument is wrong; the subclasses say which.
        ModelError: the model is broken, or cannot be compiled right.
        EnvironmentFailure: a tool or the disk failed. Whatever is raised, nothing is left behind.
    """
    from edgewright.compiler.lower import lower
    from edgewright.compiler.onnx_passes import load_model, prepare, to_proto
    from edgewright.compiler.options import Options
    from edgewright.compiler.verify.golden import make_golden
    from edgewright.compiler.verify.reference import index_limits
    from edgewright.deploy.boards.registry import resolve
    from edgewright.deploy.write_bundle import write_bundle

    file, clock = Path(model), StageClock(progress or silent)
    options = Options(conv_algorithm, max_error, max_workspace, weights == "embed")
    name = model_name(name, file)
    board = resolve(target)
    folder, temporary = _place(output, f"{name}-{board.name}", force)
    with clock.stage("load"):
        loaded = load_model(file, input_shapes)
    with clock.stage("prepare"):
        prepared = to_proto(prepare(loaded))
    compiled = lower(prepared, board.target, name=name, options=options, progress=clock.progress)
    clock.seconds.update(compiled.stage_seconds)
    with clock.stage("reference"):
        limits = index_limits(prepared)
        golden = make_golden(file, compiled.inputs, compiled.outputs, limits=limits)
    with clock.stage("link"), staged_folder(folder, replaceable=_replaceable(force)) as staging:
        write_bundle(staging, compiled, golden, board=board, toolchain=toolchain, model=file, options=options)
    return Bundle(read_bundle(folder), clock.seconds, temporary)
