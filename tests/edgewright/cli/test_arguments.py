from __future__ import annotations

import pytest

from edgewright.cli.arguments import parse_input_shapes, parse_threads
from edgewright.spec.errors import UsageError


def test_input_shapes_are_read() -> None:
    assert parse_input_shapes([]) == {}
    assert parse_input_shapes(["x:1x3x224x224", "input:0:7"]) == {
        "x": (1, 3, 224, 224),
        "input:0": (7,),
    }


@pytest.mark.parametrize(
    "text", ["1x3", "x:", ":1x3", "x:1x", "x:1,3", "x:-1x3", "x:1x3.0", "x:ax3", "x:²"]
)
def test_input_shapes_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        parse_input_shapes([text])
    assert "x:1x3x224x224" in caught.value.remedy


def test_input_shapes_of_zero_or_twice_are_refused() -> None:
    with pytest.raises(UsageError, match="extent of zero"):
        parse_input_shapes(["x:1x0"])
    with pytest.raises(UsageError, match="given twice"):
        parse_input_shapes(["x:1", "x:1"])


def test_threads_are_read() -> None:
    assert parse_threads("1, 2,4") == (1, 2, 4)


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "1,,2", "two", "1,1"])
def test_threads_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="number of threads"):
        parse_threads(text)
