"""The exception tree and its paragraphs."""

from __future__ import annotations

import pytest

from edgewright.spec import errors
from edgewright.spec.errors import EdgewrightError


def test_a_message_is_one_paragraph() -> None:
    error = EdgewrightError("the file 'x' is empty", rule="A model has bytes", remedy="Export it.")
    assert str(error) == "the file 'x' is empty. A model has bytes. Export it."
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("VerificationError", 1),
        ("UsageError", 2),
        ("TargetError", 2),
        ("TensorError", 2),
        ("OutputError", 2),
        ("ModelError", 2),
        ("UnsupportedModelError", 2),
        ("BundleError", 2),
        ("RecordsError", 2),
        ("DatasetError", 2),
        ("EnvironmentFailure", 3),
        ("ToolError", 3),
        ("BoardError", 3),
    ],
)
def test_exit_statuses(name: str, status: int) -> None:
    assert getattr(errors, name)("what").exit_status == status


def test_every_error_is_public_and_in_the_tree() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), EdgewrightError)
        assert name in (errors.__doc__ or "")
