"""Accuracy, agreement and parity on labelled samples, of runners whose answers are known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgewright.compiler.verify.classification import Classification, LabelledBatch, classify
from edgewright.compiler.verify.compare import Tolerance
from edgewright.compiler.verify.runner import Array
from edgewright.spec.errors import DatasetError, UnsupportedModelError, VerificationError

#: Scores of three samples; the second is all but a tie.
SCORES = np.array([[1, 5, 2], [4, 4.0001, 0], [0, 1, 9]], np.float32)


class Fixed:
    """A runner that gives its input plus something."""

    def __init__(self, name: str, plus: Any = 0.0, shape: tuple[int, ...] = ()) -> None:
        self.name, self.plus, self.shape = name, plus, shape

    def __enter__(self) -> Fixed:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        scores = inputs["x"] + np.asarray(self.plus, np.float32)
        return {"y": scores.reshape(self.shape or scores.shape)}


def batch(*labels: int, rows: Any = SCORES) -> LabelledBatch:
    return LabelledBatch({"x": np.asarray(rows)}, np.array(labels, np.int64))


def found(plus: Any, *batches: LabelledBatch, tolerance: Tolerance | None = None) -> Classification:
    return classify(batches, Fixed("ours", plus), Fixed("theirs"), tolerance or Tolerance())


def test_equal_runners_agree() -> None:
    result = found(0.0, batch(1, 1, 0))
    assert (result.samples, result.correct, result.reference_correct) == (3, 2, 2)
    assert result.accuracy == result.reference_accuracy == pytest.approx(2 / 3)
    assert result.agreement == 1 and result.passed and result.disagreements == ()
    assert result.failed_samples == 0
    result.check()


def test_a_tie_may_fall_either_way() -> None:
    nudge = np.array([0, -0.0003, 0], np.float32)
    result = found(nudge, batch(1, 1, 2))
    assert result.passed and result.agreement == pytest.approx(2 / 3)
    (one,) = result.disagreements
    assert (one.sample, one.label, one.predicted, one.expected) == (1, 1, 0, 1)
    assert one.gap == pytest.approx(1e-4, rel=0.01)
    assert (result.correct, result.reference_correct) == (2, 3)


def test_a_difference_beyond_the_tolerance_fails() -> None:
    result = found(np.array([0, 0, 8], np.float32), batch(1, 1, 2), batch(1, rows=SCORES))
    assert not result.passed and result.failed_samples == 4
    assert [one.sample for one in result.disagreements] == [0, 1, 3]
    with pytest.raises(VerificationError, match="on ours, the output 'y' differs from theirs") as e:
        result.check()
    assert "4 of 4 samples are in such inferences, and 3 get another class" in str(e.value)
    assert e.value.exit_status == 1
    assert found(8.0, batch(1), tolerance=Tolerance(atol=9)).passed


def test_numbers_that_differ_fail_where_all_classes_agree() -> None:
    result = found(1.0, batch(1, 1, 2))
    assert result.agreement == 1 and not result.passed


def test_padding_counts_for_nothing_but_parity() -> None:
    result = found(0.0, batch(1), batch(0, 2, rows=SCORES))
    assert result.samples == 3 and result.correct == 1


def test_the_worst_inference_is_kept() -> None:
    rows = [SCORES, SCORES * 0.25, SCORES * 0.5]
    result = found(1e-4, *(batch(1, 1, 2, rows=row) for row in rows))
    assert result.worst[0].largest == pytest.approx(9 * 0.25)


def test_json_holds_all_and_is_finite() -> None:
    report = found(np.array([math.inf, 0, 0], np.float32), batch(1, 1, 2)).to_dict()
    text = json.dumps(report, allow_nan=False)
    back = json.loads(text)
    assert back["passed"] is False and back["samples"] == 3
    assert back["agreement"] == 0 and len(back["disagreements"]) == 3
    assert back["reference_accuracy"] == 1


def test_scores_may_have_axes_of_one() -> None:
    runners = [Fixed(name, shape=(3, 3, 1, 1)) for name in ("ours", "theirs")]
    assert classify([batch(1, 1, 2)], *runners, Tolerance()).accuracy == 1


@pytest.mark.parametrize("shape", [(9,), (3, 1, 3), (9, 1)])
def test_other_outputs_are_refused(shape: tuple[int, ...]) -> None:
    runners = [Fixed(name, shape=shape) for name in ("ours", "theirs")]
    with pytest.raises(UnsupportedModelError, match="scores of classes"):
        classify([batch(1, 1, 2)], *runners, Tolerance())


def test_labels_must_be_classes_of_the_model() -> None:
    with pytest.raises(DatasetError, match="of class 3, and the model has 3 classes"):
        found(0.0, batch(1, 3, 2))
    with pytest.raises(DatasetError, match="there are no samples"):
        found(0.0)
