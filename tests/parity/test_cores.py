"""One small network on each core that no other parity test compiles for.

QEMU runs it as the core, or as one of the same architecture where it lacks the core.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import edgewright
from edgewright.deploy.boards.registry import load_board
from edgewright.models.export import export
from edgewright.spec.target import CORES
from tests.parity.test_reference_networks import SCALAR_TARGETS, SIMD_TARGETS

ELSEWHERE = {
    load_board(name).target.name for name in (*SIMD_TARGETS, *SCALAR_TARGETS) if name != "host"
}


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cores") / "lenet5.onnx"
    export("lenet5", path)
    return path


@pytest.mark.parametrize("core", sorted(set(CORES) - ELSEWHERE))
def test_parity(core: str, lenet5: Path) -> None:
    verification = edgewright.compile(lenet5, core).verify(on="qemu")
    assert verification.passed
    assert verification.worst_of_largest < 2e-6
