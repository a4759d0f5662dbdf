"""The examples for the board, built and run on this machine; tests/board runs them on a board."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import edgewright
from edgewright.models.export import export

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "on_board"
COMPILERS = {"c": ["gcc", "-std=c11"], "cpp": ["g++", "-std=c++17"]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    export("lenet5", folder / "lenet5.onnx")
    return edgewright.compile(folder / "lenet5.onnx", output=folder / "lenet5-host").path


def run(command: Sequence[str | Path], folder: Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_scores(said: str, bundle: Path) -> None:
    """``0 -0.123``: each score as the reference has it."""
    expected = np.fromfile(bundle / "golden" / "output0.bin", np.float32)
    rows = [line.split() for line in said.splitlines()]
    assert [int(index) for index, _ in rows] == list(range(len(expected)))
    scores = np.array([float(score) for _, score in rows])
    np.testing.assert_allclose(scores, expected, atol=1e-4 * np.abs(expected).max())


def compiler_of(language: str) -> list[str]:
    compiler = COMPILERS[language]
    if shutil.which(compiler[0]) is None:
        message = f"{compiler[0]} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return [*compiler, "-O2", "-Wall", "-Wextra", "-Werror"]


@pytest.mark.parametrize("language", list(COMPILERS))
@pytest.mark.parametrize("library", ["static", "shared"])
def test_a_program_runs_the_model(
    bundle: Path, language: str, library: str, tmp_path: Path
) -> None:
    source = EXAMPLES / f"classify.{language}"
    command = [*compiler_of(language), f"-I{bundle / 'include'}", source]
    if library == "static":
        command += [bundle / "lib" / "liblenet5.a", "-lm", "-lpthread"]
    else:
        command += [f"-L{bundle / 'lib'}", "-llenet5", f"-Wl,-rpath,{bundle / 'lib'}"]
    run([*command, "-o", "classify"], tmp_path)
    arguments = [bundle / "weights.bin", bundle / "golden" / "input0.bin", "2"]
    check_scores(run([tmp_path / "classify", *arguments], tmp_path), bundle)
    wrong = [str(tmp_path / "classify"), "no-weights", str(arguments[1])]
    done = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "no-weights" in done.stderr


def test_python_runs_the_model(bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / "classify.py", bundle, bundle / "golden" / "input0.bin"]
    check_scores(run(command, tmp_path), bundle)


def test_the_documentation_names_every_example() -> None:
    text = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        assert re.search(rf"examples/on_board/{re.escape(path.name)}", text), path.name
