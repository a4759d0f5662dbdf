"""Every error Edgewright raises on purpose, as one tree.

::

    EdgewrightError                exit status
    ├── VerificationError          1   the numbers differ from the reference
    ├── UsageError                 2   an argument is wrong
    │   ├── TargetError            2   unknown board, core or feature
    │   ├── TensorError            2   an input array does not fit the model
    │   └── OutputError            2   the output directory cannot be used
    ├── ModelError                 2   the model is broken
    │   └── UnsupportedModelError  2   the model is sound, but we cannot compile it right
    ├── BundleError                2   a bundle is incomplete or was changed
    ├── RecordsError               2   a file of tuning records is damaged, or another machine's
    ├── DatasetError               2   labelled samples cannot be read, or do not fit the model
    └── EnvironmentFailure         3   a tool, the disk or the board failed
        ├── ToolError              3   QEMU, the C compiler or another program is absent or failed
        └── BoardError             3   the board refused the work, or lacks what it needs
            └── UnreachableError   3   the board cannot be reached, or the connection was lost

An error is one paragraph that says what happened, with which value, which rule it breaks and what
to do next.
"""

from __future__ import annotations

__all__ = [
    "BoardError",
    "BundleError",
    "DatasetError",
    "EdgewrightError",
    "EnvironmentFailure",
    "ModelError",
    "OutputError",
    "RecordsError",
    "TargetError",
    "TensorError",
    "ToolError",
    "UnreachableError",
    "UnsupportedModelError",
    "UsageError",
    "VerificationError",
]


class EdgewrightError(Exception):
    """Base of every deliberate error.

    Args:
        what: what happened, with the value that caused it, as a clause without a final stop.
        rule: the rule that the value breaks, or why it matters; one sentence.
        remedy: what the user can do next; one sentence.
    """

    exit_status = 2

    def __init__(self, what: str, *, rule: str = "", remedy: str = "") -> None:
        self.what = what
        self.rule = rule
        self.remedy = remedy
        super().__init__(self.paragraph())

    def paragraph(self) -> str:
        """The whole message as one paragraph."""
        sentences = [part.strip() for part in (self.what, self.rule, self.remedy) if part.strip()]
        return " ".join(s if s.endswith((".", "!", "?")) else s + "." for s in sentences)


class VerificationError(EdgewrightError):
    """The compiled model's numbers differ from the reference."""

    exit_status = 1


class UsageError(EdgewrightError):
    """An argument is wrong."""


class TargetError(UsageError):
    """An unknown board, core or CPU feature."""


class TensorError(UsageError):
    """An input array does not fit the model: name, shape or dtype."""


class OutputError(UsageError):
    """The output directory cannot be used."""


class ModelError(EdgewrightError):
    """The model is broken: not ONNX, truncated, inconsistent."""


class UnsupportedModelError(ModelError):
    """The model is sound, but Edgewright cannot compile it right."""


class BundleError(EdgewrightError):
    """A bundle is incomplete, or was changed after it was written."""


class RecordsError(EdgewrightError):
    """A file of tuning records cannot be read, is damaged, or was measured on another machine."""


class DatasetError(EdgewrightError):
    """Labelled samples cannot be read, are damaged, or do not fit the model."""


class EnvironmentFailure(EdgewrightError):
    """Something outside Edgewright failed: a tool, the disk, the board."""

    exit_status = 3


class ToolError(EnvironmentFailure):
    """A program that is needed is absent or failed."""


class BoardError(EnvironmentFailure):
    """The board refused the work, or lacks what it needs."""


class UnreachableError(BoardError):
    """The board cannot be reached, or the connection was lost."""
