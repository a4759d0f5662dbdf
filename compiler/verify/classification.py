"""Compares a bundle with the reference on labelled samples: accuracy, classes and numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.compiler.verify.compare import OutputComparison, Tolerance, compare
from edgewright.compiler.verify.runner import Array, Runner
from edgewright.compiler.verify.verification import json_row
from edgewright.spec.errors import DatasetError, UnsupportedModelError, VerificationError

__all__ = ["Classification", "Disagreement", "LabelledBatch", "classify"]

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledBatch:
    """What one inference takes, and the true classes.

    Attributes:
        inputs: an array for each input.
        labels: int64[n], the classes of the first ``n`` rows; the other rows are padding.
    """

    inputs: Mapping[str, Array]
    labels: Labels


@dataclass(frozen=True)
class Disagreement:
    """A sample that the two put into different classes.

    Attributes:
        sample: its number.
        label: its true class.
        predicted: what the bundle says.
        expected: what the reference says.
        gap: the reference's score of its own class less that of the bundle's. If it is within the
            tolerance of the scores, rounding decided.
    """

    sample: int
    label: int
    predicted: int
    expected: int
    gap: float


@dataclass(frozen=True)
class Classification:
    """How a bundle and the reference do on labelled samples.

    Attributes:
        on: what ran the bundle.
        reference: what it was compared with, with its version.
        tolerance: how far outputs may differ.
        samples: how many there were.
        correct: samples that the bundle classifies right.
        reference_correct: samples that the reference classifies right.
        disagreements: every sample that the two classify differently.
        failed_samples: samples of the inferences with an output outside of the tolerance.
        worst: of each output, the comparison of the inference that is furthest off.
    """

    on: str
    reference: str
    tolerance: Tolerance
    samples: int
    correct: int
    reference_correct: int
    disagreements: tuple[Disagreement, ...]
    failed_samples: int
    worst: tuple[OutputComparison, ...]

    @property
    def accuracy(self) -> float:
        """The share of samples that the bundle classifies right."""
        return self.correct / self.samples

    @property
    def reference_accuracy(self) -> float:
        """The share of samples that the reference classifies right."""
        return self.reference_correct / self.samples

    @property
    def agreement(self) -> float:
        """The share of samples that the two put into one class, right or wrong."""
        return 1.0 - len(self.disagreements) / self.samples

    @property
    def passed(self) -> bool:
        """Whether every output of every inference is within the tolerance.

        Classes can then differ only where scores are so near each other that rounding decides.
        """
        return all(output.passed for output in self.worst)

    def check(self) -> None:
        """Do nothing if it passed.

        Raises:
            VerificationError: it did not; the message names the first bad output.
        """
        for output in self.worst:
            if not output.passed:
                raise VerificationError(
                    f"on {self.on}, the output '{output.name}' differs from {self.reference} for "
                    f"labelled samples: {output.reason}",
                    rule=f"{self.failed_samples} of {self.samples} samples are in such inferences, "
                    f"and {len(self.disagreements)} get another class.",
                )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: ratios that are infinite become None."""
        return {
            "passed": self.passed,
            "on": self.on,
            "reference": self.reference,
            "tolerance": dataclasses.asdict(self.tolerance),
            "samples": self.samples,
            "accuracy": self.accuracy,
            "reference_accuracy": self.reference_accuracy,
            "agreement": self.agreement,
            "disagreements": [json_row(one) for one in self.disagreements],
            "failed_samples": self.failed_samples,
            "worst_outputs": [json_row(output) for output in self.worst],
        }


class _Tally:
    """What :class:`Classification` says, summed up batch by batch."""

    def __init__(self) -> None:
        self.samples = self.correct = self.reference_correct = self.failed = 0
        self.disagreements: list[Disagreement] = []
        self.worst: dict[str, OutputComparison] = {}

    def add_numbers(self, rows: tuple[OutputComparison, ...], count: int) -> None:
        """Outputs of an inference that ``count`` samples were in."""
        for row in rows:
            if row.name not in self.worst or _badness(row) > _badness(self.worst[row.name]):
                self.worst[row.name] = row
        self.failed += 0 if all(row.passed for row in rows) else count

    def add_classes(self, labels: Labels, actual: Array, expected: Array) -> None:
        """Labels, and scores of both, float[n, classes]."""
        predicted, wanted = actual.argmax(1), expected.argmax(1)
        self.correct += int((predicted == labels).sum())
        self.reference_correct += int((wanted == labels).sum())
        for row in np.flatnonzero(predicted != wanted):
            one, other = int(predicted[row]), int(wanted[row])
            gap = float(expected[row, other]) - float(expected[row, one])
            sample = self.samples + int(row)
            self.disagreements.append(Disagreement(sample, int(labels[row]), one, other, gap))
        self.samples += len(labels)


def classify(
    batches: Iterable[LabelledBatch], bundle: Runner, reference: Runner, tolerance: Tolerance
) -> Classification:
    """Run every batch on both and compare numbers and classes.

    The class of a sample is that of the largest of its scores, which are the first output.

    Args:
        batches: inputs with labels; at least one label in all.
        bundle: an opened runner.
        reference: another.
        tolerance: how far outputs of one inference may differ.

    Raises:
        UnsupportedModelError: the first output holds no scores of classes.
        DatasetError: a label that the model has no class for, or no sample at all.
    """
    tally = _Tally()
    for batch in batches:
        actual, expected = bundle.infer(batch.inputs), reference.infer(batch.inputs)
        ours, theirs = (_scores(outputs, len(batch.labels)) for outputs in (actual, expected))
        _check_labels(batch.labels, theirs.shape[1])
        tally.add_numbers(compare(actual, expected, tolerance), len(batch.labels))
        tally.add_classes(batch.labels, ours, theirs)
    if tally.samples == 0:
        raise DatasetError("there are no samples", rule="Accuracy needs one at least.")
    return Classification(
        on=bundle.name,
        reference=reference.name,
        tolerance=tolerance,
        samples=tally.samples,
        correct=tally.correct,
        reference_correct=tally.reference_correct,
        disagreements=tuple(tally.disagreements),
        failed_samples=tally.failed,
        worst=tuple(tally.worst.values()),
    )


def _badness(row: OutputComparison) -> tuple[bool, float]:
    return (not row.passed, row.of_largest)


def _scores(outputs: Mapping[str, Array], count: int) -> Array:
    """float[count, classes]: the first output, axes of extent 1 behind the classes left out."""
    name, values = next(iter(outputs.items()))
    if values.ndim < 2 or values.shape[1] < 2 or values.size != math.prod(values.shape[:2]):
        raise UnsupportedModelError(
            f"the output '{name}' is {values.dtype.name}{list(values.shape)}",
            rule="Labels are compared with the scores of classes, [batch, classes], in the first "
            "output.",
            remedy="Verify the bundle without labelled samples.",
        )
    return values.reshape(values.shape[:2])[:count]


def _check_labels(labels: Labels, classes: int) -> None:
    if labels.size and int(labels.max()) >= classes:
        raise DatasetError(
            f"a sample is of class {int(labels.max())}, and the model has {classes} classes",
            rule="Classes are counted from 0.",
            remedy="Name the data set that the model was trained for.",
        )
