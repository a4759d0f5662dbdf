"""Every operator, scheduled: right numbers, the contract kept, the rule that claims it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgewright.schedules.rules.contract import violations
from edgewright.spec.target import Target
from tests.schedules.rules.legalized import Array, legalized, relax_module, run, scheduled
from tests.schedules.rules.operators import OPERATORS


def _in_float64(array: Array) -> Any:
    tensor = torch.from_numpy(array)
    return tensor.double() if array.dtype.kind == "f" else tensor


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_is_right_and_keeps_the_contract(name: str, host: Target) -> None:
    case = OPERATORS[name]
    module, answers = scheduled(legalized(relax_module(case.build, case.inputs), host), host)

    assert {answer.rule for answer in answers.values()} >= {case.rule}
    for kernel, answer in answers.items():
        assert violations(answer.func) == (), kernel

    generator = np.random.default_rng(7)
    arrays = [tensor.draw(generator) for tensor in case.inputs]
    (found,) = run(module, host, arrays)
    expected = case.reference(*[_in_float64(array) for array in arrays]).numpy()
    assert found.shape == expected.shape
    if found.dtype.kind == "f":
        precision = 2e-3 if found.dtype == np.float16 else 2e-6
        np.testing.assert_allclose(
            found, expected, rtol=precision, atol=precision * max(1.0, np.abs(expected).max())
        )
    else:
        np.testing.assert_array_equal(found, expected)
