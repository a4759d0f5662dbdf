"""Runs what README.md tells people to type: blocks marked ``test``, in order, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(sh|python) test\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    blocks = BLOCK.findall(README)
    assert len(blocks) >= 5
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for language, text in blocks:
        command = ["sh", "-eux", "-c", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        if language == "python":
            assert done.stdout.startswith("True ")
    assert (tmp_path / "out.npz").is_file()


@pytest.mark.parametrize(
    "verb", ["models", "inspect", "tune", "compile", "run", "verify", "deploy", "bench", "boards"]
)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert f"`edgewright {verb} " in README


def test_every_dependency_is_explained() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    section = README.split("## Dependencies, and why")[1]
    extras = project["optional-dependencies"]
    wanted = ("models", "datasets", "cluster")
    declared = project["dependencies"] + [line for name in wanted for line in extras[name]]
    for requirement in declared:
        name = re.split(r"[<>=!~; \[]", requirement, maxsplit=1)[0]
        assert re.search(rf"\b{re.escape(name)}\b", section), name


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target
