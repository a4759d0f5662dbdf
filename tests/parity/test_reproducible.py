"""The same model and options give byte-identical bundles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.models.export import export


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi2"])
def test_two_processes_in_two_folders(target: str, tmp_path: Path) -> None:
    bundles = []
    for place in ("first", "second"):
        folder = tmp_path / place
        folder.mkdir()
        export("squeezenet1_1", folder / "net.onnx")
        command = [sys.executable, "-m", "edgewright", "compile", "net.onnx"]
        subprocess.run([*command, "--target", target, "-o", "out"], cwd=folder, check=True)
        bundles.append(files(folder / "out"))
    assert sorted(bundles[0]) == sorted(bundles[1])
    assert [name for name in bundles[0] if bundles[0][name] != bundles[1][name]] == []
