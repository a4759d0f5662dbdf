"""Reference networks for both kinds of GPU; benchmarks/cuda_build.py does it for all of them."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

import edgewright
from edgewright.models.export import export
from tests.deploy.cuda.nvcc_needed import need_nvcc

#: Depthwise convolutions; sorting and convolutions of sentences; squeeze and excitation.
NETWORKS = ("ds_cnn", "dcnn", "mobilenet_v3")


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / f"{request.param}.onnx"
    export(request.param, path)
    return path


@pytest.mark.parametrize("target", ["cuda:sm_87:aarch64", "cuda:sm_90:x86_64"])
def test_networks_build_and_run(network: Path, target: str, tmp_path: Path) -> None:
    need_nvcc()
    bundle = edgewright.compile(network, target, output=tmp_path / "bundle")
    files = bundle.manifest.files
    without_weights = sum(
        entry.size_bytes
        for name, entry in files.items()
        if name != "weights.bin" and not name.startswith("golden/")
    )
    assert without_weights < 3_000_000
    if bundle.manifest.target.arch == platform.machine():
        bundle.verify(on="emulated-gpu").check()
