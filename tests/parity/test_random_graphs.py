"""Random small models of supported operators compute what onnxruntime computes."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.random_graphs import Comparison, random_model

#: Of an output's largest value.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    with Comparison() as opened:
        yield opened


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    return random_model(lambda low, high: draw(st.integers(low, high)))


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(model=models())
def test_random_models_agree(comparison: Comparison, model: onnx.ModelProto) -> None:
    assert comparison.difference(model) <= TOLERANCE, onnx.printer.to_text(model.graph)
