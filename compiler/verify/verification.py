"""Runs a model on two runners and reports how far they agree."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.compiler.verify.compare import OutputComparison, Tolerance, compare
from edgewright.compiler.verify.runner import Array
from edgewright.spec.errors import VerificationError

__all__ = ["Case", "Verification", "compare_case", "json_row"]


@dataclass(frozen=True)
class Case:
    """One set of inputs and what came of it.

    Attributes:
        name: where the inputs are from (``golden``, ``seed 1``, ``given``).
        reference: what the outputs were compared with, with its version.
        outputs: the comparison of each.
    """

    name: str
    reference: str
    outputs: tuple[OutputComparison, ...]

    @property
    def passed(self) -> bool:
        """Whether every output is within the tolerance."""
        return bool(self.outputs) and all(output.passed for output in self.outputs)


@dataclass(frozen=True)
class Verification:
    """Whether a bundle computes what the reference does.

    Attributes:
        on: what ran the bundle (``host, 1 thread``, ``qemu cortex-a72``).
        tolerance: how far outputs may differ.
        cases: one for each set of inputs.
    """

    on: str
    tolerance: Tolerance
    cases: tuple[Case, ...]

    @property
    def passed(self) -> bool:
        """Whether there is a case, and every one passed."""
        return bool(self.cases) and all(case.passed for case in self.cases)

    @property
    def worst_of_largest(self) -> float:
        """The largest difference of all outputs, as a share of the output's largest value."""
        return max(
            (output.of_largest for case in self.cases for output in case.outputs), default=0.0
        )

    def check(self) -> None:
        """Do nothing if it passed.

        Raises:
            VerificationError: it did not; the message names the first bad output.
        """
        for case in self.cases:
            for output in case.outputs:
                if not output.passed:
                    raise VerificationError(
                        f"on {self.on}, the output '{output.name}' differs from {case.reference} "
                        f"({case.name} inputs): {output.reason}",
                        rule=f"The largest difference is {output.max_abs:g}, at "
                        f"{list(output.worst_index)}: {output.worst_actual:g} instead of "
                        f"{output.worst_expected:g}."
                        if output.worst_index or output.elems
                        else "",
                    )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: ratios that are infinite become None."""
        return {
            "passed": self.passed,
            "on": self.on,
            "tolerance": dataclasses.asdict(self.tolerance),
            "cases": [
                {
                    "name": case.name,
                    "reference": case.reference,
                    "passed": case.passed,
                    "outputs": [json_row(output) for output in case.outputs],
                }
                for case in self.cases
            ],
        }


def compare_case(
    name: str,
    reference: str,
    actual: Mapping[str, Array],
    expected: Mapping[str, Array],
    tolerance: Tolerance,
) -> Case:
    """One case of a verification; see :func:`edgewright.compiler.verify.compare.compare`."""
    return Case(name, reference, compare(actual, expected, tolerance))


def json_row(row: Any) -> dict[str, Any]:
    """The fields of a dataclass; numbers that are not finite, which JSON lacks, become None."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in dataclasses.asdict(row).items()
    }
