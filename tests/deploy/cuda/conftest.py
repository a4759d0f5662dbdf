"""One small bundle for a GPU, compiled once."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgewright
from edgewright.models.export import export
from tests.deploy.cuda.nvcc_needed import need_nvcc


@pytest.fixture(scope="session")
def lenet5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of a small network."""
    path = tmp_path_factory.mktemp("models") / "lenet5.onnx"
    export("lenet5", path)
    return path


@pytest.fixture(scope="session")
def gpu_bundle(lenet5: Path, tmp_path_factory: pytest.TempPathFactory) -> edgewright.Bundle:
    """A bundle for sm_87 with a host of this machine's architecture; not to be changed."""
    import platform

    need_nvcc()
    folder = tmp_path_factory.mktemp("gpu") / "lenet5-gpu"
    return edgewright.compile(lenet5, f"cuda:sm_87:{platform.machine()}", output=folder)
