"""Runs a bundle and onnxruntime on the labelled samples of a file or folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgewright.compiler.verify.classification import Classification, LabelledBatch, classify
from edgewright.compiler.verify.compare import Tolerance
from edgewright.compiler.verify.reference import OnnxRuntimeRunner
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.runner import open_runner
from edgewright.models.datasets.load import load_samples
from edgewright.models.datasets.preprocessing import ImageInput, Preprocessing, batches
from edgewright.models.datasets.samples import Samples
from edgewright.spec.errors import UsageError
from edgewright.spec.progress import Progress

__all__ = ["classify_samples"]


def classify_samples(
    bundle: BundleFolder,
    model: Path,
    origin: Path,
    *,
    image_format: str,
    limit: int | None,
    preprocessing: Preprocessing,
    on: str,
    threads: int,
    tolerance: Tolerance,
    progress: Progress,
) -> Classification:
    """See :meth:`edgewright.bundle.Bundle.classify`."""
    if limit is not None and limit < 1:
        raise UsageError(f"{limit} samples were asked for", rule="Accuracy needs one at least.")
    image_input = ImageInput.of(bundle.manifest.inputs)
    samples = load_samples(origin, image_format, image_input.shape)
    if limit is not None:
        samples = samples.spread(limit)
    told = _told(samples, image_input, preprocessing, progress)
    with OnnxRuntimeRunner(model) as reference, open_runner(bundle, on, threads=threads) as runner:
        return classify(told, runner, reference, tolerance)


def _told(
    samples: Samples, image_input: ImageInput, how: Preprocessing, progress: Progress
) -> Iterator[LabelledBatch]:
    """The batches, with progress before each and after the last."""
    done = 0
    for values, labels in batches(samples, image_input, how):
        progress("samples", done / len(samples))
        yield LabelledBatch({image_input.spec.name: values}, labels)
        done += len(labels)
    progress("samples", 1.0)
