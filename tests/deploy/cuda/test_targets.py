"""What ``cuda:...`` stands for."""

from __future__ import annotations

import pytest

from edgewright.deploy.boards.registry import list_boards, resolve
from edgewright.deploy.cuda.targets import BOARD_GPUS, parse_cuda_target
from edgewright.spec.errors import TargetError


@pytest.mark.parametrize(
    ("text", "arch", "host", "name"),
    [
        ("cuda:sm_90", "sm_90", "x86_64", "cuda-sm_90-x86_64"),
        ("cuda:sm_90:aarch64", "sm_90", "aarch64", "cuda-sm_90-aarch64"),
        ("cuda:sm_87", "sm_87", "aarch64", "cuda-sm_87-aarch64"),
        ("cuda:sm_87:x86_64", "sm_87", "x86_64", "cuda-sm_87-x86_64"),
        ("cuda:jetson-orin-nano", "sm_87", "aarch64", "cuda-jetson-orin-nano"),
        ("cuda:jetson-agx-orin", "sm_87", "aarch64", "cuda-jetson-agx-orin"),
        ("cuda:jetson-xavier", "sm_72", "aarch64", "cuda-jetson-xavier"),
    ],
)
def test_targets(text: str, arch: str, host: str, name: str) -> None:
    found = parse_cuda_target(text)
    assert found is not None
    assert (found.gpu.arch, found.host.arch, found.host.name) == (arch, host, name)
    assert (found.board is not None) == ("jetson" in text)


@pytest.mark.parametrize("text", ["rpi4", "host", "jetson-orin-nano", {"mtriple": "x"}])
def test_other_targets_are_left_to_others(text: object) -> None:
    assert parse_cuda_target(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda:", "'' is no CUDA architecture"),
        ("cuda:90", "'90' is no CUDA architecture"),
        ("cuda:sm_90:arm", "unknown host 'arm'"),
        ("cuda:rpi4", "the board 'rpi4' has no GPU that runs CUDA"),
        ("cuda:nonsense", "unknown target 'nonsense'"),
        ("cuda:jetson-orin-nano:aarch64", "names a board and a host"),
        ("cuda:jetson-nano", "sm_53 is older than Volta"),
    ],
)
def test_bad_targets(text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        parse_cuda_target(text)


def test_every_jetson_is_known() -> None:
    jetsons = {board.name for board in list_boards() if board.name.startswith("jetson")}
    assert jetsons == set(BOARD_GPUS)


def test_verbs_for_cpus_say_that_it_is_a_gpu() -> None:
    with pytest.raises(TargetError, match="'cuda:sm_90' is a GPU"):
        resolve("cuda:sm_90")
