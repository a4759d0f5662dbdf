from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgewright.deploy.fleet.fleet_file import (
    BenchOptions,
    CompileOptions,
    Fleet,
    FleetBoard,
    read_fleet,
)
from edgewright.spec.errors import UsageError

BOARD = '[[boards]]\nname = "a"\naddress = "host"\n'


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    (tmp_path / "net.onnx").touch()
    (tmp_path / "ready").mkdir()
    return tmp_path / "fleet.toml"


def test_the_least_that_a_file_says(fleet_file: Path) -> None:
    fleet_file.write_text('models = ["net.onnx"]\n' + BOARD)
    assert read_fleet(fleet_file) == Fleet(
        (FleetBoard("a", "host"),), (str(fleet_file.parent / "net.onnx"),)
    )


def test_all_that_a_file_can_say(fleet_file: Path) -> None:
    fleet_file.write_text(
        'models = ["net.onnx"]\nbundles = ["ready"]\n'
        "[compile]\ninput_shapes = { x = [1, 3] }\nconv_algorithm = 'direct'\nmax_error = 1\n"
        "max_workspace = 1000\nweights = 'embed'\ntoolchain = 'gnu'\n"
        "[bench]\nthreads = [1, 4]\nrepeats = 9\nsweep = true\nprofile = true\n"
        "[[boards]]\nname = 'kitchen-2'\naddress = 'ssh://pi@kitchen:2222'\ntarget = 'rpi4'\n"
    )
    read = read_fleet(fleet_file)
    assert read.compile == CompileOptions({"x": (1, 3)}, "direct", 1.0, 1000, "embed", "gnu")
    assert read.bench == BenchOptions((1, 4), 9, True, True)
    assert read.boards == (FleetBoard("kitchen-2", "ssh://pi@kitchen:2222", "rpi4"),)
    assert read.bundles == (str(fleet_file.parent / "ready"),)


MODEL = 'models = ["net.onnx"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", "is no TOML"),
        (MODEL, "lacks 'boards'"),
        (MODEL + "boards = []", r"has no \[\[boards\]\]"),
        (MODEL + "boards = 3", "holds no list at 'boards'"),
        (MODEL + "boards = [3]", r"holds no object at 'boards\[0\]'"),
        (BOARD, "has neither 'models' nor 'bundles'"),
        ('models = "net.onnx"\n' + BOARD, "holds no list at 'models'"),
        ('models = ["no.onnx"]\n' + BOARD, r"names 'no.onnx' at 'models\[0\]', where no file is"),
        ('bundles = ["net.onnx"]\n' + BOARD, r"names 'net.onnx' at 'bundles\[0\]', where no folde"),
        ('models = ["net.onnx", "net.onnx"]\n' + BOARD, "names 'net.onnx' twice at 'models'"),
        (MODEL + "speed = 1\n" + BOARD, "has the unknown key 'speed'"),
        (MODEL + "[bench]\nthread = 1\n" + BOARD, "has the unknown key 'bench.thread'"),
        (MODEL + "[bench]\nthreads = 4\n" + BOARD, "holds no list at 'bench.threads'"),
        (MODEL + "[bench]\nthreads = [true]\n" + BOARD, r"no int at 'bench.threads\[0\]'"),
        (MODEL + "[bench]\nthreads = []\n" + BOARD, "at 'bench.threads', not numbers from 1"),
        (MODEL + "[bench]\nthreads = [65]\n" + BOARD, "at 'bench.threads', not numbers from 1"),
        (MODEL + "[bench]\nthreads = [2, 2]\n" + BOARD, "a number twice at 'bench.threads'"),
        (MODEL + "[bench]\nrepeats = 0\n" + BOARD, "has 0 at 'bench.repeats'"),
        (MODEL + "[bench]\nsweep = 1\n" + BOARD, "holds no bool at 'bench.sweep'"),
        (MODEL + "[compile]\nrecords = 'x'\n" + BOARD, "unknown key 'compile.records'"),
        (MODEL + "bench = 1\n" + BOARD, "holds no object at 'bench'"),
        (MODEL + '[[boards]]\nname = "a"', r"lacks 'boards\[0\].address'"),
        (MODEL + BOARD + "port = 22", r"has the unknown key 'boards\[0\].port'"),
        (MODEL + BOARD + BOARD, r"has the name 'a' at 'boards\[1\].name', which another"),
        (MODEL + BOARD + BOARD.replace('"a"', '"b"'), "the address of 'a', and two measurements"),
        (MODEL + BOARD.replace('"a"', '"a/b"'), r"has the name 'a/b' at 'boards\[0\].name'"),
        (MODEL + BOARD.replace("host", "http://x"), r"wrong at 'boards\[0\]', the board 'a': the"),
        (MODEL + BOARD.replace("host", "ssh://x/opt"), "has a path"),
        (MODEL + BOARD + 'target = "rpi9"', "the board 'a': unknown target 'rpi9'"),
        (MODEL + BOARD + "target = 4", r"holds no str at 'boards\[0\].target'"),
    ],
)
def test_whatever_is_wrong_is_said_with_file_and_key(
    fleet_file: Path, text: str, message: str
) -> None:
    fleet_file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_fleet(fleet_file)
    assert str(fleet_file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_fleet(tmp_path / "fleet.toml")


def test_the_documents_example_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "fleet.toml").write_text(example)
    (tmp_path / "lenet5.onnx").touch()
    (tmp_path / "ready" / "lenet5-rpi5").mkdir(parents=True)
    read = read_fleet(tmp_path / "fleet.toml")
    assert [(board.name, board.target) for board in read.boards] == [
        ("kitchen", "rpi4"),
        ("garage", None),
        ("laptop", None),
    ]
    assert read.bench.threads == (1, 4)
