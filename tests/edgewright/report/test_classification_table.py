from __future__ import annotations

from edgewright.compiler.verify.classification import Classification, Disagreement
from edgewright.compiler.verify.compare import OutputComparison, Tolerance
from edgewright.report.classification_table import classification_table, disagreement_table
from tests.edgewright.report.test_tables import printed


def found(disagreements: int, *, passed: bool) -> Classification:
    return Classification(
        on="qemu cortex-a72",
        reference="onnxruntime 1",
        tolerance=Tolerance(),
        samples=40,
        correct=38,
        reference_correct=39,
        disagreements=tuple(Disagreement(i, 3, 1, 2, 0.5e-6) for i in range(disagreements)),
        failed_samples=0 if passed else 4,
        worst=(OutputComparison("y", passed, "" if passed else "too far", max_abs=2e-6),),
    )


def test_accuracy_agreement_and_parity_are_shown() -> None:
    text = printed(classification_table(found(1, passed=True)))
    assert "40 labelled samples on qemu cortex-a72" in text
    assert "95.00%" in text and "38 of 40" in text
    assert "97.50%" in text and "39 of 40" in text
    assert "2.00e-06" in text and "pass" in text
    assert "FAIL: too far" in printed(classification_table(found(1, passed=False)))


def test_the_first_disagreements_are_listed() -> None:
    lines = printed(disagreement_table(found(12, passed=True))).splitlines()
    assert "different classes: 12" in lines[0]
    assert len([line for line in lines if line.endswith("5.00e-07")]) == 10
    assert lines[2].split() == ["0", "3", "1", "2", "5.00e-07"]
