from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.model_name import MAX_NAME_LENGTH, model_name
from edgewright.spec.errors import UsageError


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mobilenet_v2.onnx", "mobilenet_v2"),
        ("a/b/My Net-1.2.onnx", "My_Net_1_2"),
        ("3d.onnx", "model_3d"),
        ("été.onnx", "t"),
        ("---.onnx", "model"),
        ("int.onnx", "model_int"),
        ("m.onnx", "model_m"),
        ("x" * 200 + ".onnx", "x" * MAX_NAME_LENGTH),
    ],
)
def test_a_file_gives_a_name(file: str, name: str) -> None:
    assert model_name(None, Path(file)) == name


@pytest.mark.parametrize("given", ["", "3d", "a-b", "été", "while", "m", "x" * 65, "a\n"])
def test_a_name_that_is_no_identifier_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        model_name(given, Path("m.onnx"))


def test_a_good_name_is_kept() -> None:
    assert model_name("net_2", Path("a.onnx")) == "net_2"
