"""The whole way of a model, in order: load, prepare, lower, prove, link, bundle; then run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compiler.verify.compare import Tolerance
from edgewright.compiler.verify.runner import Array
from edgewright.compiler.verify.verification import Verification, compare_case
from edgewright.deploy.benchmark import Benchmark
from edgewright.deploy.bundle import BundleFolder, hash_file, is_bundle, read_bundle
from edgewright.deploy.manifest import Manifest
from edgewright.deploy.output_folder import check_output, staged_folder
from edgewright.spec.errors import UsageError
from edgewright.spec.progress import Progress, StageClock, silent

if TYPE_CHECKING:
    from edgewright.deploy.boards.registry import Placement

__all__ = ["Bundle", "compile", "load"]

PathLike = str | os.PathLike[str]


def compile(
    model: PathLike,
    target: str | Mapping[str, Any] = "host",
    *,
    output: PathLike | None = None,
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
    """Compile an ONNX model into a bundle that is proven and needs nothing on the board.

    Args:
        model: the ``.onnx`` file; its external data lies in the same folder.
        target: a board (``rpi4``), a core (``cortex-a72``), ``host``, or a mapping (or its JSON) of
            ``mtriple``, ``mcpu`` and ``mattr``.
        output: the bundle's folder, made with what is missing above it; None for a temporary one that
            lives as long as the returned object (see :meth:`Bundle.save`).
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
    place = resolve(target)
    name = _c_name(name, file)
    options = _options(Options, conv_algorithm, max_error, max_workspace, weights)
    folder, owner = _output_folder(output, f"{name}-{place.name}", force)
    with clock.stage("load"):
        loaded = load_model(file, input_shapes)
    with clock.stage("prepare"):
        prepared = to_proto(prepare(loaded))
    compiled = lower(prepared, place.target, name=name, options=options, progress=clock.progress)
    with clock.stage("reference"):
        limits = index_limits(prepared)
        golden = make_golden(file, compiled.inputs, compiled.outputs, limits=limits)
    with clock.stage("link"):
        write_bundle(folder, compiled, golden, place=place, model_sha256=hash_file(file), ...)
    return Bundle(read_bundle(folder), clock.seconds, owner)
